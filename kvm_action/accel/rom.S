# The guest of `guest.py`: the last KiB of a ROM that stands in for the firmware. It does what every operating
# system does first, and says how far it came.
#
# It prints a letter on the first serial port after each stage: (R)eal mode, (P)rotected mode, (L)ong mode with
# paging, floating point by (S)SE2, a (C)ounting loop, a (T)imer interrupt that ends HLT. Then it resets the machine,
# which ends QEMU under -no-reboot. Nothing here is optional on an x86-64 CPU, so every KVM on top of hardware
# virtualization runs it. A KVM that must emulate each instruction fails at S, or is not done with C in time.
#
# as --64 rom.S -o rom.o && ld -Ttext=0x7c00 -e start --oformat binary rom.o -o rom.bin

.set COM1, 0x3f8
.set COUNT, 10000000
.set APIC, 0xfee00000
.set PML4, 0x1000           # page tables: the first 2 MiB and the APIC's, mapped to themselves
.set PDPT, 0x2000
.set PD_LOW, 0x3000
.set PD_APIC, 0x4000
.set IDT, 0x5000
.set TIMER, 0x20            # the timer's vector

.macro say letter
    mov $\letter, %al
    mov $COM1, %dx
    out %al, %dx
.endm

.code16
.globl start
start:
    cli
    cld
    ljmp $0, $real
real:
    xor %ax, %ax
    mov %ax, %ds
    mov %ax, %ss
    mov $0x7c00, %sp
    say 'R'
    in $0x92, %al           # address line 20
    or $2, %al
    and $0xfe, %al
    out %al, $0x92
    lgdt gdt_pointer
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmp $0x08, $protected

.code32
protected:
    mov $0x10, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    say 'P'
    mov $PML4, %edi         # clears the tables and the IDT
    xor %eax, %eax
    mov $0x1400, %ecx
    rep stosl
    movl $(PDPT + 3), PML4
    movl $(PD_LOW + 3), PDPT
    movl $(PD_APIC + 3), PDPT + (APIC >> 30) * 8
    movl $0x83, PD_LOW
    movl $(APIC + 0x93), PD_APIC + (APIC >> 21 & 511) * 8
    mov $PML4, %eax
    mov %eax, %cr3
    mov $0x6a0, %eax        # PAE, PGE, OSFXSR, OSXMMEXCPT
    mov %eax, %cr4
    mov $0xc0000080, %ecx   # EFER: LME, SCE
    rdmsr
    or $0x101, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80000002, %eax    # PG, MP
    and $~4, %eax           # EM
    mov %eax, %cr0
    ljmp $0x18, $long

.code64
long:
    say 'L'
    mov $7, %eax
    cvtsi2sd %eax, %xmm0
    mulsd %xmm0, %xmm0
    cvttsd2si %xmm0, %eax
    cmp $49, %eax
    jne end
    say 'S'
    mov $COUNT, %ecx
1:  dec %ecx
    jnz 1b
    say 'C'
    movl $(0x180000 + timer), IDT + TIMER * 16      # interrupt gate in segment 0x18
    movl $0x8e00, IDT + TIMER * 16 + 4
    lidt idt_pointer
    mov $0xff, %al          # the old interrupt controller is silent
    out %al, $0x21
    mov $APIC, %edi
    movl $0x1ff, 0xf0(%rdi) # spurious vector, APIC on
    movl $0xb, 0x3e0(%rdi)  # the timer: undivided, once
    movl $TIMER, 0x320(%rdi)
    movl $100000, 0x380(%rdi)
    sti
2:  hlt
    jmp 2b
timer:
    say 'T'
end:
    mov $0xfe, %al          # reset through the keyboard controller
    out %al, $0x64
3:  hlt
    jmp 3b

.balign 8
gdt:
    .quad 0
    .quad 0x00cf9a000000ffff
    .quad 0x00cf92000000ffff
    .quad 0x00af9a000000ffff
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long gdt
idt_pointer:
    .word 0xfff
    .quad IDT

.org 0x3c0                  # F000:FFC0: copies what stands above from F000:FC00 to 0000:7C00, and goes there
.code16
copy:
    cld
    mov $0xf000, %ax
    mov %ax, %ds
    xor %ax, %ax
    mov %ax, %es
    mov $0xfc00, %si
    mov $start, %di
    mov $0x100, %cx
    rep movsw
    ljmp $0, $start

.org 0x3f0                  # F000:FFF0: where the CPU begins
    jmp copy
.org 0x400
