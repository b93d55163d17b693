"""Become another program that dies with a given process: python -m okkhor.serving.torchserve.tethered PID PROGRAM …"""

import os
import sys

from okkhor.tether import tether

if __name__ == "__main__":
    tether(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # it keeps the tether
