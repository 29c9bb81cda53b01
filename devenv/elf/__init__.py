"""ELF files: a fast, bounded reader and a writer that works from program headers and the dynamic section.

    numbers   the constants of the format            records   its structures, 32 and 64 bit, both byte orders
    source    bounded reads from a file or memory    elf       header, segments, sections, dynamic section
    versions  symbol versions                        notes     build id, ABI tag, dlopen notes
    symbols   the dynamic symbols and their hashes   machines distributions' names for machines
    draft     a file's parts as edits change them    edits     the edits: interpreter, run path, needed libraries, ...
    moving    what may move, and the room for it     patch     from a draft to writes
    rewriting from writes to the file on disk

Standard library only, and little of it: `devenv patchelf` starts in the time Python takes.
"""
