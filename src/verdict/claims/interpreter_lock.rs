//! Tells waits for the interpreter's lock where a native sampler does not name what waits.

use super::engine::{Claim, Judge};
use crate::profile::FunctionId;
use crate::verdict::catalogue::{RuleIndex, Rules};
use crate::verdict::category::{Category, Runtime};

/// The id of the rule of the interpreter's lock.
const RULE: &str = "cpython.interpreter_lock";
/// The condition variables with which CPython waits for its lock: for a thread to let it go, and, having let it go, for
/// another thread to take it.
const WAITS: [&str; 4] =
    ["pthread_cond_wait", "pthread_cond_timedwait", "__pthread_cond_wait", "__pthread_cond_timedwait"];

/// The rule of the interpreter's lock, if the catalogue has it.
pub(super) fn rule(rules: &Rules) -> Option<RuleIndex> {
    rules.index_of(RULE)
}

impl Judge<'_> {
    /// The claim as one of the interpreter's lock, where a frame of Python waits for a condition. Without symbols of
    /// CPython, `py-spy --native` leaves the functions of the interpreter out that stand between; those of extensions and
    /// of `threading`'s locks it shows.
    pub(super) fn as_interpreter_lock(&self, claim: Claim, frames: &[FunctionId]) -> Claim {
        let is_python = |frame: &FunctionId| self.info(*frame).own == Some(Runtime::Python);
        let is_waiting = claim.category == Category::ThreadWaiting && claim.runtime == Runtime::Python;
        let Some(rule) = self.interpreter_lock.filter(|_| is_waiting) else { return claim };
        let Some(at) = frames.iter().position(|frame| *frame == claim.frame) else { return claim };
        if frames.get(at + 1).is_some_and(is_python) && self.waits_for_condition(claim.frame) {
            return Claim { category: Category::LockContention, rule: Some(rule), ..claim };
        }
        claim
    }

    /// Whether the function waits for a condition variable: `pthread_cond_timedwait@@GLIBC_2.3.2 (libc.so.6)`.
    fn waits_for_condition(&self, function: FunctionId) -> bool {
        let name = self.profile.name(function);
        let end = name.find([' ', '@']).unwrap_or(name.len());
        name.get(..end).is_some_and(|name| WAITS.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::kernel::ProfileType;
    use crate::verdict::catalogue::Rules;
    use crate::verdict::category::Category;

    /// As `py-spy --native` spells them.
    #[rstest]
    #[case::waits_for_its_turn(
        "work (gil.py:10);score (gil.py:7);pthread_cond_timedwait (libc.so.6);0x7f06b78a3f16 (libc.so.6)",
        Category::LockContention
    )]
    #[case::let_it_go(
        "work (gil.py:10);score (gil.py:7);pthread_cond_wait (libc.so.6);0x7f06b78a3f16 (libc.so.6)",
        Category::LockContention
    )]
    #[case::with_symbols(
        "work (gil.py:10);score (gil.py:7);take_gil (ceval_gil.c:250);pthread_cond_timedwait@@GLIBC_2.3.2 (libc.so.6)",
        Category::LockContention
    )]
    #[case::of_an_extension(
        "work (gil.py:10);score (gil.py:7);blas_thread_server (libopenblas.so.0);pthread_cond_wait (libc.so.6)",
        Category::ThreadWaiting
    )]
    #[case::sleeps("work (gil.py:10);score (gil.py:7);clock_nanosleep (libc.so.6)", Category::ThreadWaiting)]
    #[case::no_python("main;pool::wait;pthread_cond_wait (libc.so.6)", Category::ThreadWaiting)]
    fn python_code_that_waits_for_a_condition_waits_for_the_interpreters_lock(
        #[case] stack: &str,
        #[case] expected: Category,
    ) {
        assert_eq!(Rules::builtin().explain_stack(stack, ProfileType::Wall).category, Some(expected));
    }
}
