# The code of a loader that stands where programs ask for one and the machine has none: Linux on x86-64, no libraries.
# The kernel starts it in a program's process, as the program's interpreter. It maps the real loader, as the kernel would have, tells
# that of libraries by LD_LIBRARY_PATH, and gets control back at the program's entry, where it takes the variable away again.
# `shim.py` has the bytes that `as` makes of this, and puts behind them:
#
#   parameters: where the loader's path is, where the library path is, from here      2 numbers, then the strings
#
# At `state`, in a segment of its own that can be written:
        .set    ENTRY, 0                # of the program
        .set    ENTRY_AT, 8             # where the kernel said so: AT_ENTRY's value
        .set    SLOT, 16                # the place among the variables that LD_LIBRARY_PATH has meanwhile, 0 if none
        .set    WAS, 24                 # what was there before
        .set    BASE_AT, 32             # AT_BASE's value
        .set    GIVEN, 40               # a variable names the loader
        .set    PARTS, 48               # the user's library path, that of our variables, that of the parameters
        .set    STRING, 72              # "LD_LIBRARY_PATH=..."
        .set    AUX, 80                 # the auxiliary vector
        .set    READY, 88               # the stack that the loader and the program get

        .intel_syntax noprefix
        .text
        .set    state, _start + 0x8000
_start:
        mov     r12, rsp                # argc, argv, 0, environment, 0, auxiliary vector
        lea     rbp, [rip + state]
        mov     [rbp + READY], r12
        mov     rax, [r12]
        lea     r13, [r12 + rax * 8 + 16]
        mov     rbx, r13
1:      mov     rax, [rbx]
        add     rbx, 8
        test    rax, rax
        jnz     1b
        mov     [rbp + AUX], rbx
        xor     r14d, r14d              # AT_SECURE: the program has more rights than its user
2:      mov     rax, [rbx]
        lea     rcx, [rbx + 8]
        add     rbx, 16
        cmp     rax, 9                  # AT_ENTRY
        jne     3f
        mov     [rbp + ENTRY_AT], rcx
3:      cmp     rax, 7                  # AT_BASE
        jne     4f
        mov     [rbp + BASE_AT], rcx
4:      cmp     rax, 23
        cmove   r14, [rcx]
        test    rax, rax
        jnz     2b

        lea     rdi, [rip + parameters]
        mov     r15, [rdi]
        add     r15, rdi                # the loader's path
        test    r14, r14
        jnz     chosen
        lea     rsi, [rip + loaders]
        call    find
        jz      1f
        mov     r15, rax
        mov     qword ptr [rbp + GIVEN], 1
1:      lea     rsi, [rip + variable]
        call    find
        mov     [rbp + PARTS], rax
        mov     [rbp + SLOT], rdx
        lea     rsi, [rip + paths]
        call    find
        mov     [rbp + PARTS + 8], rax
        cmp     qword ptr [rbp + GIVEN], 0
        jne     chosen                  # the libraries of another loader are no use to it
        lea     rdi, [rip + parameters]
        mov     rax, [rdi + 8]
        add     rax, rdi
        cmp     byte ptr [rax], 0
        je      chosen
        mov     [rbp + PARTS + 16], rax
chosen: cmp     byte ptr [r15], 0
        je      unknown
        call    compose
        mov     rax, [rbp + ENTRY_AT]
        lea     rcx, [rip + _start]
        cmp     [rax], rcx
        je      direct
        cmp     qword ptr [rbp + STRING], 0
        je      1f
        call    lend
1:      call    map                     # rax: the loader's entry, rdx: its base
        mov     rcx, [rbp + BASE_AT]
        test    rcx, rcx
        jz      2f
        mov     [rcx], rdx
2:      mov     rcx, [rbp + ENTRY_AT]
        mov     rdx, [rcx]
        mov     [rbp + ENTRY], rdx
        lea     rdx, [rip + landing]
        mov     [rcx], rdx
        mov     rsp, [rbp + READY]
        xor     edx, edx
        xor     ebp, ebp
        jmp     rax

# Where the loader takes the program's entry to be. rdx and the stack are for the program.
landing:
        endbr64
        lea     rcx, [rip + state]
        mov     rax, [rcx + SLOT]
        test    rax, rax
        jz      1f
        mov     r11, [rcx + WAS]
        mov     [rax], r11
1:      mov     rax, [rcx + ENTRY_AT]
        mov     r11, [rcx + ENTRY]
        mov     [rax], r11
        jmp     r11

# rsi: beginnings of variables, each with a NUL, an empty one at the end. rax: what follows the first that is there and
# has something behind it, rdx: its place; 0 and the zero flag if there is none.
find:   xor     eax, eax
        xor     edx, edx
        cmp     byte ptr [rsi], 0
        je      5f
        mov     rdx, r13
1:      mov     rdi, [rdx]
        test    rdi, rdi
        jz      3f
        xor     ecx, ecx
2:      mov     al, [rsi + rcx]
        test    al, al
        jz      4f
        cmp     al, [rdi + rcx]
        lea     rcx, [rcx + 1]
        je      2b
6:      add     rdx, 8
        jmp     1b
4:      cmp     byte ptr [rdi + rcx], 0
        je      6b
        lea     rax, [rdi + rcx]
5:      test    rax, rax
        ret
3:      lodsb                           # the next
        test    al, al
        jnz     3b
        jmp     find

# STRING: all parts, unless there are none but the user's.
compose:
        mov     rax, [rbp + PARTS + 8]
        or      rax, [rbp + PARTS + 16]
        jnz     1f
        mov     [rbp + SLOT], rax       # the user's own stays as it is
        ret
1:
        mov     esi, 64
        xor     ecx, ecx
1:      mov     rdi, [rbp + PARTS + rcx * 8]
        test    rdi, rdi
        jz      3f
2:      inc     rsi
        inc     rdi
        cmp     byte ptr [rdi - 1], 0
        jne     2b
3:      inc     ecx
        cmp     ecx, 3
        jb      1b
        xor     edi, edi
        mov     edx, 3                  # PROT_READ | PROT_WRITE
        mov     r10d, 0x22              # MAP_PRIVATE | MAP_ANONYMOUS
        mov     r8, -1
        xor     r9d, r9d
        mov     eax, 9                  # mmap
        syscall
        cmp     rax, -4095
        jae     failed
        mov     [rbp + STRING], rax
        mov     rdi, rax
        lea     rsi, [rip + variable]
        mov     ecx, 16
        rep     movsb
        xor     ecx, ecx
4:      mov     rsi, [rbp + PARTS + rcx * 8]
        test    rsi, rsi
        jz      6f
5:      lodsb
        stosb
        test    al, al
        jnz     5b
        mov     byte ptr [rdi - 1], 0x3a
6:      inc     ecx
        cmp     ecx, 3
        jb      4b
        mov     byte ptr [rdi - 1], 0
        ret

# Put STRING among the variables: in the place of the user's own LD_LIBRARY_PATH, or of one that no loader looks at.
lend:   mov     rdx, [rbp + SLOT]
        test    rdx, rdx
        jnz     3f
        lea     rsi, [rip + borrowed]
        call    find
        jnz     3f
        mov     rdx, r13
1:      mov     rdi, [rdx]
        test    rdi, rdi
        jz      4f                      # there is none
        add     rdx, 8
        mov     eax, [rdi]
        and     eax, 0xffffff
        cmp     eax, 0x5f444c           # "LD_"
        je      1b
        mov     eax, [rdi]
        cmp     eax, 0x42494c47         # "GLIB", of GLIBC_TUNABLES
        je      1b
        cmp     eax, 0x4c4c414d         # "MALL", of MALLOC_...
        je      1b
        sub     rdx, 8
3:      mov     rax, [rdx]
        mov     [rbp + WAS], rax
        mov     [rbp + SLOT], rdx
        mov     rax, [rbp + STRING]
        mov     [rdx], rax
        ret
# No place, as the environment is empty: a copy of all, with one place more. rdx is at the end of the variables. What looks for
# the auxiliary vector behind them finds its end there; libraries know it from the loader.
4:      mov     rax, rbx                # the end of all
        sub     rax, r12
        mov     rdi, r12
        sub     rdi, rax
        sub     rdi, 8
        and     rdi, -16
        mov     [rbp + READY], rdi
        mov     rsi, r12
        mov     rcx, rdx
        sub     rcx, r12
        shr     rcx, 3
        rep     movsq
        mov     [rbp + SLOT], rdi
        mov     rax, [rbp + STRING]
        stosq
        lea     rax, [rdi + 8]
        sub     rax, [rbp + AUX]
        add     [rbp + ENTRY_AT], rax
        cmp     qword ptr [rbp + BASE_AT], 0
        je      5f
        add     [rbp + BASE_AT], rax
5:      mov     rcx, rbx
        sub     rcx, rdx
        shr     rcx, 3
        pop     rdx                     # from below the copy
        mov     rsp, [rbp + READY]
        rep     movsq
        jmp     rdx

# Map the loader at r15: its entry in rax, its base in rdx.
map:    mov     rdi, r15
        mov     esi, 0x80000            # O_RDONLY | O_CLOEXEC
        mov     eax, 2                  # open
        syscall
        test    eax, eax
        js      failed
        mov     r14d, eax
        sub     rsp, 4096
        mov     edi, eax
        mov     rsi, rsp
        mov     edx, 4096
        xor     eax, eax                # read
        syscall
        cmp     rax, 64
        jl      failed
        mov     rcx, 0x00010102464c457f # 64 bits, little endian
        mov     rdx, [rsp]
        mov     rsi, 0x00ffffffffffffff
        and     rdx, rsi
        cmp     rdx, rcx
        jne     failed
        cmp     dword ptr [rsp + 16], 0x003e0003        # ET_DYN, EM_X86_64
        jne     failed
        cmp     word ptr [rsp + 54], 56
        jne     failed
        movzx   r13d, word ptr [rsp + 56]
        mov     rbx, [rsp + 32]
        cmp     rbx, 4096
        jae     failed
        imul    rcx, r13, 56
        add     rcx, rbx
        cmp     rcx, rax                # the headers of the segments have been read
        ja      failed
        add     rbx, rsp
        mov     rdi, -1                 # lowest and highest address
        xor     esi, esi
        mov     rdx, rbx
        mov     ecx, r13d
1:      dec     ecx
        js      2f
        cmp     dword ptr [rdx], 3      # PT_INTERP: it is a program that wants a loader itself
        je      failed
        cmp     dword ptr [rdx], 1      # PT_LOAD
        jne     3f
        mov     rax, [rdx + 16]
        cmp     rax, rdi
        cmovb   rdi, rax
        add     rax, [rdx + 40]
        cmp     rax, rsi
        cmova   rsi, rax
3:      add     rdx, 56
        jmp     1b
2:      and     rdi, -4096
        sub     rsi, rdi
        jbe     failed
        push    rdi
        xor     edi, edi
        xor     edx, edx
        mov     r10d, 0x22
        mov     r8, -1
        xor     r9d, r9d
        mov     eax, 9
        syscall
        pop     rdi
        cmp     rax, -4095
        jae     failed
        sub     rax, rdi
        push    rax                     # what is added to its addresses
4:      dec     r13d
        js      8f
        cmp     dword ptr [rbx], 1
        jne     7f
        mov     eax, [rbx + 4]          # PF_X 1, PF_W 2, PF_R 4; PROT_READ 1, PROT_WRITE 2, PROT_EXEC 4
        mov     edx, eax
        and     edx, 2
        mov     ecx, eax
        shr     ecx, 2
        and     ecx, 1
        or      edx, ecx
        and     eax, 1
        shl     eax, 2
        or      edx, eax
        mov     rdi, [rbx + 16]
        mov     rsi, rdi
        and     rsi, 4095
        mov     r9, [rbx + 8]
        sub     r9, rsi
        add     rdi, [rsp]
        and     rdi, -4096
        mov     rcx, [rbx + 32]
        test    rcx, rcx
        jz      5f
        add     rsi, rcx
        mov     r10d, 0x12              # MAP_PRIVATE | MAP_FIXED
        mov     r8d, r14d
        mov     eax, 9
        syscall
        cmp     rax, -4095
        jae     failed
5:      mov     rdi, [rbx + 16]         # what it has in memory only
        add     rdi, [rsp]
        mov     rsi, rdi
        add     rdi, [rbx + 32]
        add     rsi, [rbx + 40]
        cmp     rsi, rdi
        jbe     7f
        cmp     qword ptr [rbx + 32], 0
        je      6f
        xor     eax, eax
        mov     rcx, rdi
        neg     rcx
        and     ecx, 4095
        rep     stosb
6:      and     rdi, -4096
        sub     rsi, rdi
        jbe     7f
        mov     r10d, 0x32              # MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS
        mov     r8, -1
        xor     r9d, r9d
        mov     eax, 9
        syscall
        cmp     rax, -4095
        jae     failed
7:      add     rbx, 56
        jmp     4b
8:      mov     edi, r14d
        mov     eax, 3                  # close
        syscall
        pop     rdx
        mov     rax, [rsp + 24]
        add     rax, rdx
        add     rsp, 4096
        ret

# Started as a program itself: the real loader is, with the same words.
direct: mov     rcx, [r12]
        push    0
1:      cmp     rcx, 1
        jle     2f
        push    [r12 + rcx * 8]
        dec     rcx
        jmp     1b
2:      mov     rax, [rbp + STRING]
        test    rax, rax
        jz      3f
        add     rax, 16
        push    rax
        lea     rax, [rip + option]
        push    rax
3:      push    [r12 + 8]
        mov     rdi, r15
        mov     rsi, rsp
        mov     rdx, r13
        mov     eax, 59                 # execve
        syscall

failed: lea     rsi, [rip + of]
        call    say
        mov     rsi, r15
        call    say
        lea     rsi, [rip + why]
        jmp     9f
unknown:
        lea     rsi, [rip + none]
9:      call    say
        mov     edi, 127
        mov     eax, 231                # exit_group
        syscall
say:    xor     edx, edx
        dec     rdx
1:      inc     rdx
        cmp     byte ptr [rsi + rdx], 0
        jne     1b
        mov     edi, 2
        mov     eax, 1                  # write
        syscall
        ret

loaders:
        .asciz  "DEVENV_LD_x86_64_linux="
        .asciz  "DEVENV_LD="
        .asciz  "NIX_LD_x86_64_linux="
        .asciz  "NIX_LD="
        .byte   0
paths:  .asciz  "DEVENV_LD_LIBRARY_PATH_x86_64_linux="
        .asciz  "DEVENV_LD_LIBRARY_PATH="
        .asciz  "NIX_LD_LIBRARY_PATH_x86_64_linux="
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
why:    .asciz  " cannot be loaded\n  hint: it must be the loader of a C library for x86-64; DEVENV_LD can name another\n"
none:   .asciz  "devenv's loader: it does not know the real one\n  hint: let DEVENV_LD name it, or see: devenv loader --help\n"
        .balign 8
parameters:
