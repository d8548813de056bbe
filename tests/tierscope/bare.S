/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program without an operating system whose memory accesses are all known: what
 * ./check compares the plugin's counts with. QEMU loads it by multiboot; it enters 64-bit mode with
 * 1 GiB pages that map each address to itself, walks, and switches the machine off.
 *
 * Walk: count lines, stride bytes apart, from address on, the whole several times over.
 * Code and stack lie below 16 MiB, so vrange=0x1000000-... sees the walks alone
 * (and the firmware's, before the first marker).
 */
#define DEBUGCON 0xe9	 /* -device isa-debugcon,iobase=0xe9: bytes go to a chardev (0x402 is the firmware's) */
#define DEBUG_EXIT 0xf4	 /* -device isa-debug-exit,iobase=0xf4: QEMU exits with 2 * value + 1 */

	.section .multiboot, "a"
	.balign 4
	.long 0x1badb002, 0, -0x1badb002

	.bss
	.balign 4096
pml4:	.skip 4096
pdpt:	.skip 4096
	.skip 4096
stack:

	.text
	.code32
	.globl _start
_start:
	movl $stack, %esp
	movl $pdpt + 3, pml4			/* present, writable */
	xorl %ecx, %ecx
1:	movl %ecx, %eax				/* entry i maps 1 GiB at i << 30 */
	shll $30, %eax
	orl $0x83, %eax				/* present, writable, large */
	movl %eax, pdpt(, %ecx, 8)
	movl %ecx, %eax
	shrl $2, %eax
	movl %eax, pdpt + 4(, %ecx, 8)
	incl %ecx
	cmpl $8, %ecx
	jne 1b

	movl $0x20, %eax			/* PAE */
	movl %eax, %cr4
	movl $pml4, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx			/* EFER.LME */
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl %cr0, %eax
	orl $0x80000000, %eax			/* PG */
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $8, $start64

	.balign 8
gdt:	.quad 0, 0x00209a0000000000		/* null; 64-bit code */
gdt_pointer:
	.word . - gdt - 1
	.long gdt

	.code64
start64:
	leaq walks(%rip), %rbx
next_walk:
	movq (%rbx), %rsi			/* address, 0: marker, -1: end */
	cmpq $-1, %rsi
	je finish
	testq %rsi, %rsi
	jz send_marker
	movq 8(%rbx), %rcx			/* stride */
	movq 24(%rbx), %rdx			/* rounds */
1:	movq %rsi, %rdi
	movq 16(%rbx), %r8			/* lines */
2:	cmpq $0, 32(%rbx)			/* the walks' table itself lies low */
	jne 3f
	movq (%rdi), %rax
	jmp 4f
3:	movq %rdx, (%rdi)
4:	addq %rcx, %rdi
	decq %r8
	jnz 2b
	decq %rdx
	jnz 1b
	addq $40, %rbx
	jmp next_walk

send_marker:
	leaq marker(%rip), %rsi
	movl $DEBUGCON, %edx
	movl $marker_end - marker, %ecx
	rep outsb
	call wait_a_while			/* until the plugin has noticed */
	addq $40, %rbx
	jmp next_walk

finish:
	call wait_a_while			/* so that a whole second may pass after the marker */
	xorl %eax, %eax
	movl $DEBUG_EXIT, %edx
	outl %eax, %dx
1:	hlt
	jmp 1b

/* 2^32 ticks of the time stamp counter: one to two seconds. */
wait_a_while:
	rdtsc
	movl %edx, %esi
	movl %eax, %edi
1:	pause
	rdtsc
	cmpl %esi, %edx
	je 1b
	cmpl %edi, %eax
	jb 1b
	ret

	.section .rodata
marker:	.ascii "#walks\n"
marker_end:

	/* address, stride, lines, rounds, store? */
	.balign 8
walks:
	.quad 0, 0, 0, 0, 0			/* what came before was the firmware's */
	.quad 0x10000000, 64, 1000, 2, 0	/* 1000 lines twice: 1000 misses, 1000 hits */
	.quad 0, 0, 0, 0, 0
	.quad 0x50000000, 64, 3000, 1, 0	/* lower piece of node 1 */
	.quad 0x100000000, 4096, 500, 1, 1	/* upper piece of node 1, one line of each page */
	.quad 0x20000000, 0x20000, 17, 10, 1	/* 17 lines of one set: LRU of 16 misses always */
	.quad 0x30000040, 0x20000, 16, 10, 0	/* 16 lines of another set: all hits from round 2 on */
	.quad 0x3ffff000, 0x1000, 2, 3, 0	/* last page of node 0, first of node 1 */
	.quad -1
