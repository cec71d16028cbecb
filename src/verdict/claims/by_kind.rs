//! What the kind of profile says of a stack, beside its frames.

use super::engine::Claim;
use crate::kernel::ProfileType;
use crate::profile::FunctionId;
use crate::verdict::catalogue::FunctionInfo;
use crate::verdict::category::{Category, Runtime};

/// A sampler that sees only the language's frames (JFR) samples parked threads as if they ran: then idle is idle, on
/// a cpu profile too. One that sees native frames samples what really cost CPU.
pub(super) fn parked_is_idle(kind: ProfileType, infos: &[FunctionInfo], native_frames: bool) -> bool {
    match kind {
        ProfileType::Cpu => !native_frames && infos.iter().any(|s| s.own == Some(Runtime::Jvm)),
        _ => true,
    }
}

/// In a lock profile all is waiting for a lock, whoever takes it (Java's stacks end in the method that was blocked, without
/// a frame of the lock), but for threads that wait for work or for each other.
pub(super) fn as_lock(frames: &[FunctionId], runtime: Option<Runtime>, claim: Option<Claim>) -> Option<Claim> {
    let waits_for_none =
        |claim: &Claim| matches!(claim.category, Category::Idle | Category::ThreadWaiting | Category::ProfilerOverhead);
    claim.filter(|claim| claim.category == Category::LockContention || waits_for_none(claim)).or_else(|| {
        Some(Claim {
            category: Category::LockContention,
            frame: *frames.first()?,
            rule: None,
            runtime: runtime.unwrap_or(Runtime::Native),
            counted: true,
        })
    })
}
