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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::kernel::ProfileType;
    use crate::verdict::catalogue::Rules;
    use crate::verdict::category::Category;

    #[rstest]
    #[case::thread("runtime.mcall;runtime.schedule;runtime.startm;runtime.newm;runtime.allocm")]
    #[case::task("main.serve;runtime.newproc.func1;runtime.newproc1")]
    fn a_scheduler_that_allocates_switches_nothing(#[case] stack: &str) {
        for kind in [ProfileType::Alloc, ProfileType::Inuse] {
            assert_eq!(Rules::builtin().explain_stack(stack, kind).category, None);
        }
        assert_eq!(Rules::builtin().explain_stack(stack, ProfileType::Cpu).category, Some(Category::Scheduling));
    }

    #[rstest]
    #[case::about_to_be_switched_away("main.work;runtime.asyncPreempt", None)]
    #[case::beneath_a_library(
        "main.work;compress/flate.(*compressor).deflate;runtime.asyncPreempt",
        Some(Category::Compression)
    )]
    #[case::switched_away(
        "main.work;runtime.asyncPreempt;runtime.asyncPreempt2;runtime.mcall;runtime.gopreempt_m;runtime.schedule",
        Some(Category::Scheduling)
    )]
    fn a_preempted_goroutine_is_at_its_own_work_until_the_scheduler_runs(
        #[case] stack: &str,
        #[case] expected: Option<Category>,
    ) {
        assert_eq!(Rules::builtin().explain_stack(stack, ProfileType::Cpu).category, expected);
    }
}
