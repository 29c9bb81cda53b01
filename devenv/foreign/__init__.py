"""Programs that were made for another system: what they need, whether they run here, and running them.

kinds      what a file is                            program   one ELF file: machine, C library, needs
openings   libraries that programs open themselves   systems   this machine's libraries, or a root's
loading    what the loader would find                bundles   programs that come as a directory
needs      all that a program needs of a system      suppliers which packages have that
unpacking  archives; squashfs, iso9660: AppImages    others    what is no Linux program
verdict    the answer, a value                       judging   from a file to its verdict
"""
