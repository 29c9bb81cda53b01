# The code of a launcher: performs a table of system calls, then becomes the program. Linux on x86-64, no libraries.
# `launcher.py` has the bytes that `as` makes of this, and puts behind them what differs from one launcher to another:
#
#   parameters: calls, program, words, dropped, set, path suffix, path by default      7 addresses
#   call:       number, 5 arguments, flags, complaint                                  8 words; ends with number -1
#   flags:      1 it may fail     2 keep the result, which an argument 1 of -2 then stands for
#   words, dropped, set: lists of addresses of strings, ended by 0; dropped has "NAME=", set "NAME=value"

        .intel_syntax noprefix
        .globl _start
        .text
_start:
        mov     r12, rsp                # argc, then argv, 0, environment, 0
        lea     r13, [rip + parameters]
        sub     rsp, 4352
        mov     rbp, rsp                # the working directory
        mov     eax, 79                 # getcwd
        mov     rdi, rbp
        mov     esi, 4096
        syscall
        test    rax, rax
        jns     1f
        mov     word ptr [rbp], 0x2f    # "/"
1:      mov     r14, [r13]
call:   mov     rax, [r14]
        cmp     rax, -1
        je      enter
        mov     rdi, [r14 + 8]
        cmp     rdi, -2
        cmove   rdi, rbx
        mov     rsi, [r14 + 16]
        mov     rdx, [r14 + 24]
        mov     r10, [r14 + 32]
        mov     r8, [r14 + 40]
        xor     r9d, r9d
        syscall
        mov     rcx, [r14 + 48]
        test    rax, rax
        js      failed
        test    cl, 2
        jz      next
        mov     rbx, rax
next:   add     r14, 64
        jmp     call
failed: test    cl, 1
        jnz     next
        mov     rsi, [r14 + 56]
complain:
        xor     edx, edx
1:      cmp     byte ptr [rsi + rdx], 0
        je      2f
        inc     rdx
        jmp     1b
2:      mov     eax, 1                  # write
        mov     edi, 2
        syscall
        mov     edi, 126
        mov     eax, 231                # exit_group
        syscall

enter:  mov     rsi, [r14 + 56]         # of the end of the table: that the program cannot be started
        mov     [rbp + 4096], rsi
        mov     eax, 80                 # chdir, or stay in the root
        mov     rdi, rbp
        syscall

        mov     rax, [r12]              # the environment is behind argv
        lea     r15, [r12 + rax * 8 + 16]
        mov     rbx, r15                # PATH with the suffix, or the one by default
        mov     r9, [r13 + 48]
1:      mov     rsi, [rbx]
        test    rsi, rsi
        jz      variables
        add     rbx, 8
        cmp     dword ptr [rsi], 0x48544150     # "PATH"
        jne     1b
        cmp     byte ptr [rsi + 4], 0x3d        # "="
        jne     1b
        xor     ecx, ecx
2:      cmp     byte ptr [rsi + rcx], 0
        je      3f
        inc     rcx
        jmp     2b
3:      cmp     rcx, 5                  # an empty one would have the suffix begin with this directory
        je      variables
        mov     rdx, [r13 + 40]
        xor     eax, eax
4:      cmp     byte ptr [rdx + rax], 0
        je      5f
        inc     rax
        jmp     4b
5:      lea     rdi, [rax + rcx + 32]
        and     rdi, -16
        sub     rsp, rdi
        mov     rdi, rsp
        mov     r9, rsp
        cld
        rep     movsb
        mov     rsi, rdx
        lea     rcx, [rax + 1]
        rep     movsb

variables:
        push    0
        push    r9
        mov     rbx, [r13 + 32]         # those that are set
1:      mov     rsi, [rbx]
        test    rsi, rsi
        jz      2f
        push    rsi
        add     rbx, 8
        jmp     1b
2:      mov     rsi, [r15]              # the user's own, without those dropped
        add     r15, 8
        test    rsi, rsi
        jz      words
        mov     rbx, [r13 + 24]
3:      mov     rdi, [rbx]
        add     rbx, 8
        test    rdi, rdi
        jz      6f
        xor     ecx, ecx
4:      mov     al, [rdi + rcx]
        test    al, al
        jz      2b                      # all of it is the same: left out
        cmp     al, [rsi + rcx]
        jne     3b
        inc     rcx
        jmp     4b
6:      push    rsi
        jmp     2b

words:  mov     r10, rsp                # the environment
        push    0
        mov     rcx, [r12]
1:      cmp     rcx, 1
        jle     2f
        push    [r12 + rcx * 8]
        dec     rcx
        jmp     1b
2:      mov     rbx, [r13 + 16]
        xor     ecx, ecx
3:      cmp     qword ptr [rbx + rcx * 8], 0
        je      4f
        inc     rcx
        jmp     3b
4:      test    rcx, rcx
        jz      5f
        dec     rcx
        push    [rbx + rcx * 8]
        jmp     4b
5:      mov     rdi, [r13 + 8]
        mov     rsi, rsp
        mov     rdx, r10
        mov     eax, 59                 # execve
        syscall
        mov     rsi, [rbp + 4096]
        jmp     complain
        .balign 8
parameters:
