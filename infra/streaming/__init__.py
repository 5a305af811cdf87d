"""The way of frames from running simulations to a trainer: both ends, spool and fencing.

Nothing is imported here, so that ``import infra.streaming.frames`` stays light: ZeroMQ is loaded
only by the modules that open sockets.
"""
