//! What the kind of profile says of a stack, beside its frames.

use super::engine::Claim;
use crate::kernel::ProfileType;
use crate::profile::{FunctionId, Profile};
use crate::verdict::catalogue::FunctionInfo;
use crate::verdict::category::{Category, Runtime};

/// A sampler that sees only the language's frames (JFR) samples parked threads as if they ran: then idle is idle, on
/// a cpu profile too. So does py-spy, whatever it sees: it asks what state a thread is in, and a thread of a pool is often
/// taken for running. Others that see native frames sample what really cost CPU.
pub(super) fn parked_is_idle(
    kind: ProfileType,
    infos: &[FunctionInfo],
    native_frames: bool,
    profile: &Profile,
) -> bool {
    match kind {
        ProfileType::Cpu if native_frames => is_of_py_spy(infos, profile),
        ProfileType::Cpu => infos.iter().any(|s| s.own == Some(Runtime::Jvm)) || is_of_py_spy(infos, profile),
        _ => true,
    }
}

/// Whether functions of Python are spelled as only py-spy spells them: `_worker (concurrent/futures/thread.py:81)`.
fn is_of_py_spy(infos: &[FunctionInfo], profile: &Profile) -> bool {
    let is_spelled_so = |name: &str| name.ends_with(')') && name.contains(" (") && name.contains(".py");
    let mut of_python = infos.iter().zip(profile.function_ids()).filter(|(info, _)| info.own == Some(Runtime::Python));
    of_python.any(|(_, id)| is_spelled_so(profile.name(id)))
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
