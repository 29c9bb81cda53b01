# What shim_x86_64.S is, for 32-bit programs: the same steps, with what they know in memory, since registers are few.
#
#   parameters: where the loader's path is, where the library path is, from here      2 numbers, then the strings
        .set    ENTRY, 0                # of the program
        .set    ENTRY_AT, 4             # where the kernel said so: AT_ENTRY's value
        .set    SLOT, 8                 # the place among the variables that LD_LIBRARY_PATH has meanwhile, 0 if none
        .set    WAS, 12                 # what was there before
        .set    BASE_AT, 16             # AT_BASE's value
        .set    GIVEN, 20               # a variable names the loader
        .set    PARTS, 24               # the user's library path, that of our variables, that of the parameters
        .set    STRING, 36              # "LD_LIBRARY_PATH=..."
        .set    AUX, 40                 # the auxiliary vector, and behind it
        .set    END, 44
        .set    READY, 48               # the stack that the loader and the program get
        .set    START, 52               # the kernel's: argc, argv, 0, environment, 0, auxiliary vector
        .set    ENV, 56
        .set    LOADER, 60              # the path
        .set    SECURE, 64              # AT_SECURE: the program has more rights than its user
        .set    FILE, 68
        .set    SEGMENT, 72             # the program header, and how many follow
        .set    COUNT, 76
        .set    BIAS, 80                # what is added to the loader's addresses

        .intel_syntax noprefix
        .text
        .set    state, _start + 0x8000
_start:
        call    1f
1:      pop     ebp
        lea     ebp, [ebp + state - 1b]
        mov     [ebp + START], esp
        mov     [ebp + READY], esp
        mov     eax, [esp]
        lea     ebx, [esp + eax * 4 + 8]
        mov     [ebp + ENV], ebx
1:      mov     eax, [ebx]
        add     ebx, 4
        test    eax, eax
        jnz     1b
        mov     [ebp + AUX], ebx
2:      mov     eax, [ebx]
        lea     ecx, [ebx + 4]
        add     ebx, 8
        cmp     eax, 9                  # AT_ENTRY
        jne     3f
        mov     [ebp + ENTRY_AT], ecx
3:      cmp     eax, 7                  # AT_BASE
        jne     4f
        mov     [ebp + BASE_AT], ecx
4:      cmp     eax, 23
        jne     5f
        mov     edx, [ecx]
        mov     [ebp + SECURE], edx
5:      test    eax, eax
        jnz     2b
        mov     [ebp + END], ebx

        lea     edi, [ebp + parameters - state]
        mov     eax, [edi]
        add     eax, edi
        mov     [ebp + LOADER], eax
        cmp     dword ptr [ebp + SECURE], 0
        jne     chosen
        lea     esi, [ebp + loaders - state]
        call    find
        jz      1f
        mov     [ebp + LOADER], eax
        mov     dword ptr [ebp + GIVEN], 1
1:      lea     esi, [ebp + variable - state]
        call    find
        mov     [ebp + PARTS], eax
        mov     [ebp + SLOT], edx
        lea     esi, [ebp + paths - state]
        call    find
        mov     [ebp + PARTS + 4], eax
        cmp     dword ptr [ebp + GIVEN], 0
        jne     chosen                  # the libraries of another loader are no use to it
        lea     edi, [ebp + parameters - state]
        mov     eax, [edi + 4]
        add     eax, edi
        cmp     byte ptr [eax], 0
        je      chosen
        mov     [ebp + PARTS + 8], eax
chosen: mov     eax, [ebp + LOADER]
        cmp     byte ptr [eax], 0
        je      unknown
        call    compose
        mov     eax, [ebp + ENTRY_AT]
        lea     ecx, [ebp + _start - state]
        cmp     [eax], ecx
        je      direct
        cmp     dword ptr [ebp + STRING], 0
        je      1f
        call    lend
1:      call    map                     # eax: the loader's entry
        mov     ecx, [ebp + BASE_AT]
        test    ecx, ecx
        jz      2f
        mov     edx, [ebp + BIAS]
        mov     [ecx], edx
2:      mov     ecx, [ebp + ENTRY_AT]
        mov     edx, [ecx]
        mov     [ebp + ENTRY], edx
        lea     edx, [ebp + landing - state]
        mov     [ecx], edx
        mov     esp, [ebp + READY]
        xor     edx, edx
        xor     ebp, ebp
        jmp     eax

# Where the loader takes the program's entry to be. edx and the stack are for the program.
landing:
        endbr32
        call    1f
1:      pop     ecx
        lea     ecx, [ecx + state - 1b]
        mov     eax, [ecx + SLOT]
        test    eax, eax
        jz      2f
        mov     ebx, [ecx + WAS]
        mov     [eax], ebx
2:      mov     eax, [ecx + ENTRY_AT]
        mov     ebx, [ecx + ENTRY]
        mov     [eax], ebx
        jmp     ebx

# esi: beginnings of variables, each with a NUL, an empty one at the end. eax: what follows the first that is there and
# has something behind it, edx: its place; 0 and the zero flag if there is none.
find:   xor     eax, eax
        xor     edx, edx
        cmp     byte ptr [esi], 0
        je      5f
        mov     edx, [ebp + ENV]
1:      mov     edi, [edx]
        test    edi, edi
        jz      3f
        xor     ecx, ecx
2:      mov     al, [esi + ecx]
        test    al, al
        jz      4f
        cmp     al, [edi + ecx]
        lea     ecx, [ecx + 1]
        je      2b
6:      add     edx, 4
        jmp     1b
4:      cmp     byte ptr [edi + ecx], 0
        je      6b
        lea     eax, [edi + ecx]
5:      test    eax, eax
        ret
3:      lodsb                           # the next
        test    al, al
        jnz     3b
        jmp     find

# STRING: all parts, unless there are none but the user's.
compose:
        mov     eax, [ebp + PARTS + 4]
        or      eax, [ebp + PARTS + 8]
        jnz     1f
        mov     [ebp + SLOT], eax       # the user's own stays as it is
        ret
1:      mov     ecx, 64
        xor     edx, edx
1:      mov     edi, [ebp + PARTS + edx * 4]
        test    edi, edi
        jz      3f
2:      inc     ecx
        inc     edi
        cmp     byte ptr [edi - 1], 0
        jne     2b
3:      inc     edx
        cmp     edx, 3
        jb      1b
        xor     ebx, ebx
        mov     edx, 3                  # PROT_READ | PROT_WRITE
        mov     esi, 0x22               # MAP_PRIVATE | MAP_ANONYMOUS
        mov     edi, -1
        xor     eax, eax
        call    mmap
        mov     [ebp + STRING], eax
        mov     edi, eax
        lea     esi, [ebp + variable - state]
        mov     ecx, 16
        rep     movsb
        xor     ecx, ecx
4:      mov     esi, [ebp + PARTS + ecx * 4]
        test    esi, esi
        jz      6f
5:      lodsb
        stosb
        test    al, al
        jnz     5b
        mov     byte ptr [edi - 1], 0x3a
6:      inc     ecx
        cmp     ecx, 3
        jb      4b
        mov     byte ptr [edi - 1], 0
        ret

# eax: offset in pages, the other arguments as the kernel has them.
mmap:   push    ebp
        mov     ebp, eax
        mov     eax, 192                # mmap2
        int     0x80
        pop     ebp
        cmp     eax, -4095
        jae     failed
        ret

# Put STRING among the variables: in the place of the user's own LD_LIBRARY_PATH, or of one that no loader looks at.
lend:   mov     edx, [ebp + SLOT]
        test    edx, edx
        jnz     3f
        lea     esi, [ebp + borrowed - state]
        call    find
        jnz     3f
        mov     edx, [ebp + ENV]
1:      mov     edi, [edx]
        test    edi, edi
        jz      4f                      # there is none
        add     edx, 4
        mov     eax, [edi]
        and     eax, 0xffffff
        cmp     eax, 0x5f444c           # "LD_"
        je      1b
        mov     eax, [edi]
        cmp     eax, 0x42494c47         # "GLIB", of GLIBC_TUNABLES
        je      1b
        cmp     eax, 0x4c4c414d         # "MALL", of MALLOC_...
        je      1b
        sub     edx, 4
3:      mov     eax, [edx]
        mov     [ebp + WAS], eax
        mov     [ebp + SLOT], edx
        mov     eax, [ebp + STRING]
        mov     [edx], eax
        ret
# No place, as the environment is empty: a copy of all, with one place more. edx is at the end of the variables. What looks for
# the auxiliary vector behind them finds its end there; libraries know it from the loader.
4:      mov     esi, [ebp + START]
        mov     edi, esi
        mov     eax, [ebp + END]
        sub     eax, esi
        sub     edi, eax
        sub     edi, 4
        and     edi, -16
        mov     [ebp + READY], edi
        mov     ecx, edx
        sub     ecx, esi
        shr     ecx, 2
        rep     movsd
        mov     [ebp + SLOT], edi
        mov     eax, [ebp + STRING]
        stosd
        lea     eax, [edi + 4]
        sub     eax, [ebp + AUX]
        add     [ebp + ENTRY_AT], eax
        cmp     dword ptr [ebp + BASE_AT], 0
        je      5f
        add     [ebp + BASE_AT], eax
5:      mov     ecx, [ebp + END]
        sub     ecx, edx
        shr     ecx, 2
        pop     edx                     # from below the copy
        mov     esp, [ebp + READY]
        rep     movsd
        jmp     edx

# Map the loader: its entry in eax, BIAS.
map:    mov     ebx, [ebp + LOADER]
        mov     ecx, 0x88000            # O_RDONLY | O_CLOEXEC | O_LARGEFILE
        mov     eax, 5                  # open
        int     0x80
        test    eax, eax
        js      failed
        mov     [ebp + FILE], eax
        sub     esp, 4096
        mov     ebx, eax
        mov     ecx, esp
        mov     edx, 4096
        mov     eax, 3                  # read
        int     0x80
        cmp     eax, 52
        jl      failed
        cmp     dword ptr [esp], 0x464c457f
        jne     failed
        mov     ecx, [esp + 4]
        and     ecx, 0xffffff
        cmp     ecx, 0x010101           # 32 bits, little endian
        jne     failed
        cmp     dword ptr [esp + 16], 0x00030003        # ET_DYN, EM_386
        jne     failed
        cmp     word ptr [esp + 42], 32
        jne     failed
        movzx   edx, word ptr [esp + 44]
        mov     [ebp + COUNT], edx
        mov     ebx, [esp + 28]
        cmp     ebx, 4096
        jae     failed
        mov     ecx, edx
        shl     ecx, 5
        add     ecx, ebx
        cmp     ecx, eax                # the headers of the segments have been read
        ja      failed
        add     ebx, esp
        mov     [ebp + SEGMENT], ebx
        mov     edi, -1                 # lowest and highest address
        xor     esi, esi
1:      dec     edx
        js      2f
        cmp     dword ptr [ebx], 3      # PT_INTERP: it is a program that wants a loader itself
        je      failed
        cmp     dword ptr [ebx], 1      # PT_LOAD
        jne     3f
        mov     eax, [ebx + 8]
        cmp     eax, edi
        cmovb   edi, eax
        add     eax, [ebx + 20]
        cmp     eax, esi
        cmova   esi, eax
3:      add     ebx, 32
        jmp     1b
2:      and     edi, -4096
        mov     ecx, esi
        sub     ecx, edi
        jbe     failed
        mov     [ebp + BIAS], edi
        xor     ebx, ebx
        xor     edx, edx
        mov     esi, 0x22
        mov     edi, -1
        xor     eax, eax
        call    mmap
        sub     eax, [ebp + BIAS]
        mov     [ebp + BIAS], eax
4:      dec     dword ptr [ebp + COUNT]
        js      8f
        mov     eax, [ebp + SEGMENT]
        add     dword ptr [ebp + SEGMENT], 32
        cmp     dword ptr [eax], 1
        jne     4b
        call    segment
        jmp     4b
8:      mov     ebx, [ebp + FILE]
        mov     eax, 6                  # close
        int     0x80
        mov     eax, [esp + 24]
        add     eax, [ebp + BIAS]
        add     esp, 4096
        ret

# Map the segment whose header is at eax.
segment:
        push    eax
        mov     ecx, [eax + 24]         # PF_X 1, PF_W 2, PF_R 4; PROT_READ 1, PROT_WRITE 2, PROT_EXEC 4
        mov     edx, ecx
        and     edx, 2
        mov     ebx, ecx
        shr     ebx, 2
        and     ebx, 1
        or      edx, ebx
        and     ecx, 1
        shl     ecx, 2
        or      edx, ecx
        mov     ecx, [eax + 16]
        test    ecx, ecx
        jz      1f
        mov     ebx, [eax + 8]
        mov     edi, ebx
        and     edi, 4095
        add     ecx, edi
        add     ebx, [ebp + BIAS]
        and     ebx, -4096
        mov     eax, [eax + 4]
        shr     eax, 12
        mov     esi, 0x12               # MAP_PRIVATE | MAP_FIXED
        mov     edi, [ebp + FILE]
        call    mmap
        mov     eax, [esp]
1:      mov     ebx, [eax + 8]          # what it has in memory only
        add     ebx, [ebp + BIAS]
        mov     esi, ebx
        add     esi, [eax + 20]
        add     ebx, [eax + 16]
        cmp     esi, ebx
        jbe     3f
        cmp     dword ptr [eax + 16], 0
        je      2f
        mov     edi, ebx
        mov     ecx, ebx
        neg     ecx
        and     ecx, 4095
        xor     eax, eax
        rep     stosb
        mov     ebx, edi
2:      and     ebx, -4096
        mov     ecx, esi
        sub     ecx, ebx
        jbe     3f
        mov     esi, 0x32               # MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS
        mov     edi, -1
        xor     eax, eax
        call    mmap
3:      pop     eax
        ret

# Started as a program itself: the real loader is, with the same words.
direct: mov     esi, [ebp + START]
        mov     ecx, [esi]
        push    0
1:      cmp     ecx, 1
        jle     2f
        push    [esi + ecx * 4]
        dec     ecx
        jmp     1b
2:      mov     eax, [ebp + STRING]
        test    eax, eax
        jz      3f
        add     eax, 16
        push    eax
        lea     eax, [ebp + option - state]
        push    eax
3:      push    [esi + 4]
        mov     ebx, [ebp + LOADER]
        mov     ecx, esp
        mov     edx, [ebp + ENV]
        mov     eax, 11                 # execve
        int     0x80

failed: lea     ecx, [ebp + of - state]
        call    say
        mov     ecx, [ebp + LOADER]
        call    say
        lea     ecx, [ebp + why - state]
        jmp     9f
unknown:
        lea     ecx, [ebp + none - state]
9:      call    say
        mov     ebx, 127
        mov     eax, 252                # exit_group
        int     0x80
say:    xor     edx, edx
        dec     edx
1:      inc     edx
        cmp     byte ptr [ecx + edx], 0
        jne     1b
        mov     ebx, 2
        mov     eax, 4                  # write
        int     0x80
        ret

loaders:
        .asciz  "DEVENV_LD_i686_linux="
        .asciz  "DEVENV_LD="
        .asciz  "NIX_LD_i686_linux="
        .asciz  "NIX_LD="
        .byte   0
paths:  .asciz  "DEVENV_LD_LIBRARY_PATH_i686_linux="
        .asciz  "DEVENV_LD_LIBRARY_PATH="
        .asciz  "NIX_LD_LIBRARY_PATH_i686_linux="
        .asciz  "NIX_LD_LIBRARY_PATH="
        .byte   0
variable:
        .asciz  "LD_LIBRARY_PATH="
        .byte   0
borrowed:
        .asciz  "LD_LIBRARY_PATH"       # an empty one
        .asciz  "DEVENV_LD"
        .asciz  "NIX_LD"
        .asciz  "SHLVL="
        .asciz  "OLDPWD="
        .asciz  "_="
        .asciz  "PWD="
        .byte   0
option: .asciz  "--library-path"
of:     .asciz  "devenv's loader: "
why:    .asciz  " cannot be loaded\n  hint: it must be the loader of a C library for i386; DEVENV_LD_i686_linux can name another\n"
none:   .asciz  "devenv's loader: it does not know the real one\n  hint: let DEVENV_LD_i686_linux name it, or see: devenv loader --help\n"
        .balign 8
parameters:
