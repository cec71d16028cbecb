//! What profilers write into stacks beside functions: the command or thread at the root; and threads that only wait.

use rustc_hash::FxHashMap;

use super::engine::StackFacts;
use crate::profile::{FunctionId, Profile};
use crate::verdict::catalogue::FunctionInfo;
use crate::verdict::category::Category;
use crate::verdict::names::is_thread_or_process;

/// A thread with this share of its samples in one stack is parked there, percent.
const PARKED_FROM: i64 = 95;
/// How many frames from the root may stand for a thread.
const THREAD_DEPTH: usize = 6;

/// Marks the names of commands as entries, where the profiler put one at the root of every stack, as `perf script`
/// does: such a name is never a function of a stack, and is a bare word.
pub(super) fn mark_commands(infos: &mut [FunctionInfo], profile: &Profile) {
    let mut roots = vec![false; infos.len()];
    let mut functions = vec![false; infos.len()];
    for stack in profile.stacks() {
        let Some((root, callees)) = stack.frames.split_last() else { continue };
        for callee in callees {
            set(&mut functions, *callee);
        }
        if !callees.is_empty() {
            set(&mut roots, *root);
        }
    }
    let is_command = |id: FunctionId| {
        let info = infos.get(id.index());
        !functions.get(id.index()).copied().unwrap_or(true)
            && info.is_some_and(|info| !info.entry && !info.unresolved && info.rule.is_none())
            && is_bare(profile.name(id))
    };
    let rooted: Vec<_> = profile.function_ids().filter(|id| roots.get(id.index()).copied().unwrap_or(false)).collect();
    if rooted.iter().all(|id| is_command(*id)) {
        for root in rooted {
            if let Some(info) = infos.get_mut(root.index()) {
                info.entry = true;
            }
        }
    }
}

fn set(marks: &mut [bool], id: FunctionId) {
    if let Some(mark) = marks.get_mut(id.index()) {
        *mark = true;
    }
}

/// `iperf`, `java-?/1234`, `kworker/0:1`: no module, class or argument.
fn is_bare(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ' | '?' | '/' | ':' | '#');
    name.chars().all(plain) && !name.contains("::")
}

/// Makes waiting idle where a thread does nothing else: nearly all of its samples are in one stack that waits. Threads
/// are told apart by the frame that stands for one, or else by the root of their stacks if there are several. A thread
/// that waits for a lock is not idle.
pub(super) fn mark_parked(list: &mut [StackFacts], profile: &Profile) {
    let thread = |frames: &[FunctionId]| {
        let named = frames.iter().rev().take(THREAD_DEPTH).rfind(|f| is_thread_or_process(profile.name(**f)));
        named.map(|named| (*named, true)).or_else(|| frames.last().map(|root| (*root, false)))
    };
    let ticks = |values: &[i64]| values.first().copied().unwrap_or(0);
    let mut whole: FxHashMap<FunctionId, i64> = FxHashMap::default();
    for stack in profile.stacks() {
        if let Some((thread, _)) = thread(stack.frames) {
            *whole.entry(thread).or_default() += ticks(stack.values);
        }
    }
    let several = whole.len() > 1;
    for (stack, facts) in profile.stacks().zip(list) {
        let (Some((thread, is_named)), Some(claim)) = (thread(stack.frames), facts.claim.as_mut()) else { continue };
        let waits = match claim.category {
            Category::ThreadWaiting => is_named || several,
            // What native code waits for is not seen.
            Category::Unresolved => is_named,
            _ => false,
        };
        let whole = whole.get(&thread).copied().unwrap_or(0);
        if waits && ticks(stack.values).saturating_mul(100) >= whole.saturating_mul(PARKED_FROM) {
            claim.category = Category::Idle;
        }
    }
}
