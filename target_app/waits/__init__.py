"""What requests wait for inside of the app: connection pools, locks, semaphores and executors, each with its figures.

The harness copies this package as `loopwise_waits` beside the probe, into the app's own interpreter. So: standard
library only, Python 3.9 or newer, and nothing of ours but blame/places.py. No app is edited: what it imports and makes
is wrapped.

    watching.py   what the probe calls
    resources.py  a resource and its figures
    places.py     lines of the app, as path:line
    foreign.py    looks into code of others, which may fail
    imports.py    a function is called as soon as a module has been imported
    pools.py      connection pools of known libraries
    locks.py      locks and semaphores that the app's own code makes
    executors.py  thread pools of the app and of libraries
"""
