//! What runs in the kernel: profilers may write its functions without a mark, and the way in tells.

use crate::profile::Profile;
use crate::verdict::catalogue::FunctionInfo;
use crate::verdict::category::{Origin, Runtime};

/// How the names of the functions begin by which a processor enters the kernel: for a system call, an interrupt, a fault
/// or a new thread. Linux on x86-64 and ARM; illumos.
const ENTRIES: [&str; 19] = [
    "asm_common_interrupt",
    "asm_exc_",
    "asm_sysvec_",
    "apic_timer_interrupt",
    "common_interrupt",
    "do_syscall_",
    "el0_svc",
    "el0_sync",
    "el0t_64_sync",
    "entry_SYSCALL_",
    "entry_SYSENTER_",
    "invoke_syscall",
    "ret_from_fork",
    "ret_from_intr",
    "ret_from_sys_call",
    "sys_syscall",
    "system_call_fastpath",
    "sysenter_",
    "tracesys",
];

/// Takes functions of no proven language for the kernel's if they are an entry or were called beneath one.
pub(super) fn mark_kernel(infos: &mut [FunctionInfo], profile: &Profile) {
    let is_unproven = |info: &FunctionInfo| matches!(info.own, None | Some(Runtime::Kernel));
    let is_entry: Vec<_> = infos
        .iter()
        .zip(profile.function_ids())
        .map(|(info, id)| is_unproven(info) && is_entry(profile.name(id)))
        .collect();
    // Most profiles have none, and then their stacks are not gone through.
    if !is_entry.contains(&true) {
        return;
    }
    for stack in profile.stacks() {
        let entered = stack.frames.iter().rposition(|f| is_entry.get(f.index()).is_some_and(|is_entry| *is_entry));
        for frame in entered.and_then(|entry| stack.frames.get(..=entry)).unwrap_or(&[]) {
            if let Some(info) = infos.get_mut(frame.index()).filter(|info| info.own.is_none()) {
                info.origin = Origin::Runtime;
            }
        }
    }
}

fn is_entry(name: &str) -> bool {
    ENTRIES.iter().any(|entry| name.starts_with(entry))
}
