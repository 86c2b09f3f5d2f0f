# A program that logs what others write into its pipe, byte by byte.
import os

os.mkfifo("/tmp/lines")
while True:
    with open("/tmp/lines", "rb") as lines:
        while read := lines.read1(65536):
            os.write(1, read)
