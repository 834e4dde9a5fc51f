#!/bin/sh
# Runs in the installer as soon as its log is there: lets kvm-e2e read along on the second serial port.
rm -f /usr/bin/screen # several windows on a serial line can be read by nobody
# Of what debconf logs, only questions by name: answers may be secrets. The kernel's errors are on the console already.
tail -n +1 -f /var/log/syslog </dev/null 2>/dev/null |
    grep -v -E ' (frontend|debconf): (<-- [^0]|<-- 0 *$|<-- 0 [^q]|--> [^IR]|Adding)| kernel: ' >/dev/ttyS1 &
