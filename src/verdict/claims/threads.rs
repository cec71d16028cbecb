//! What profilers write into stacks beside functions: the command or thread at the root; and threads that only wait.

use rustc_hash::FxHashMap;

use super::engine::StackFacts;
use crate::profile::{FunctionId, Profile};
use crate::verdict::catalogue::{FunctionInfo, Rules};
use crate::verdict::category::Category;
use crate::verdict::names::is_thread_or_process;

/// A thread with this share of its samples in one stack is parked there, percent.
const PARKED_FROM: i64 = 95;
/// Endings of programs' names.
const PROGRAM_ENDINGS: [&str; 5] = [".out", ".exe", ".bin", ".sh", ".py"];
/// How many frames from the root may stand for a thread.
const THREAD_DEPTH: usize = 6;

/// Marks the names of commands as entries that no rule claims, where the profiler put one at the root of every stack, as
/// `perf script` does: such a name is never called and is a bare word. The idle task stays what it is.
pub(super) fn mark_commands(infos: &mut [FunctionInfo], rules: &Rules, profile: &Profile) {
    let mut roots = vec![false; infos.len()];
    for stack in profile.stacks() {
        if let [_, .., root] = stack.frames {
            set(&mut roots, *root);
        }
    }
    let marked = |marks: &[bool], id: &FunctionId| marks.get(id.index()).copied().unwrap_or(false);
    let roots: Vec<_> = profile.function_ids().filter(|id| marked(&roots, id)).collect();
    let may_be_command = |id: &FunctionId| {
        let is_function = infos.get(id.index()).is_none_or(|info| info.entry || info.unresolved);
        !is_function && is_bare(profile.name(*id))
    };
    // Most profiles have none, and then their stacks are not gone through.
    if !roots.iter().all(may_be_command) {
        return;
    }
    let mut called = vec![false; infos.len()];
    for stack in profile.stacks() {
        for callee in stack.frames.split_last().map_or(&[][..], |(_, callees)| callees) {
            set(&mut called, *callee);
        }
    }
    if roots.iter().any(|root| marked(&called, root)) {
        return;
    }
    for root in roots {
        let Some(info) = infos.get_mut(root.index()) else { continue };
        let is_idle = info.rules().any(|rule| rules.rule(rule).is_some_and(|r| r.category == Some(Category::Idle)));
        if !is_idle {
            *info = FunctionInfo { entry: true, own: info.own, ..FunctionInfo::UNKNOWN };
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
    let stem = PROGRAM_ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    stem.chars().all(plain) && !stem.contains("::")
}

/// Whether a function takes connections: `accept4`, `__libc_accept`, `sun/nio/ch/Net.accept`, `socketAccept`.
fn is_accept(name: &str) -> bool {
    let function = name.rsplit(['.', '/', ':', '`']).next().unwrap_or(name);
    ["accept", "Accept"].iter().any(|accept| function.contains(accept))
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
            Category::NetworkIo => (is_named || several) && is_accept(profile.name(claim.frame)),
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::kernel::ProfileType;
    use crate::profile::{ReadLimits, SampleType, read_folded};
    use crate::verdict::catalogue::Rules;
    use crate::verdict::claims::Claims;

    fn claims(folded: &str, kind: ProfileType) -> (Profile, Claims) {
        let profile = read_folded(folded.as_bytes(), SampleType::new("samples", ""), &ReadLimits::default()).unwrap();
        let claims = Claims::of(&Rules::builtin(), &profile, kind);
        (profile, claims)
    }

    #[rstest]
    #[case::command("nu;nu::main;nu_parser::lex 5\nswapper;cpuidle_enter 3\n", "nu", true)]
    #[case::named_as_a_function("sleep;sys_nanosleep 5\nsleep;page_fault 1\n", "sleep", true)]
    #[case::with_an_ending("a.out;work;sum 5\n", "a.out", true)]
    #[case::with_a_thread("java-?/1234;Interpreter;a.b.C.d 5\n", "java-?/1234", true)]
    #[case::a_function_of_the_program("main;work;sum 5\nwork;sum 1\n", "work", false)]
    #[case::called_elsewhere("nu;nu::main 5\nsh;nu 1\n", "nu", false)]
    fn names_of_commands_are_no_functions(#[case] folded: &str, #[case] name: &str, #[case] is_command: bool) {
        let (profile, claims) = claims(folded, ProfileType::Cpu);
        let id = profile.function_ids().find(|id| profile.name(*id) == name).unwrap();
        assert_eq!(claims.is_platform(id), is_command);
        assert!(!is_command || claims.flags(id).category().is_none());
    }

    #[rstest]
    #[case::of_its_language("com/x/Cart.total;java/util/HashMap.get 5\n", "com/x/Cart.total", true)]
    #[case::of_no_proven_language("shop.Cart.toJson;encoding/json.Marshal 5\n", "shop.Cart.toJson", true)]
    #[case::of_the_vm("com/x/Cart.total;update_stats;java/util/HashMap.get 5\n", "update_stats", false)]
    #[case::of_a_native_program("main;update_stats;malloc 5\n", "update_stats", true)]
    fn in_a_profile_of_one_language_bare_words_are_the_vms(
        #[case] folded: &str,
        #[case] name: &str,
        #[case] is_own: bool,
    ) {
        let (profile, claims) = claims(folded, ProfileType::Cpu);
        let id = profile.function_ids().find(|id| profile.name(*id) == name).unwrap();
        assert_eq!(claims.is_first_party(id), is_own);
    }

    #[rstest]
    #[case::parked("Thread (1);a.B.run;System.Threading.WaitHandle.WaitOne 99\nThread (1);a.B.run 1\n", Category::Idle)]
    #[case::takes_connections("Thread (1);a.B.run;__libc_accept 99\nThread (1);a.B.run 1\n", Category::Idle)]
    #[case::receives("Thread (1);a.B.run;__libc_recv 99\nThread (1);a.B.run 1\n", Category::NetworkIo)]
    #[case::waits_now_and_then(
        "Thread (1);a.B.run;System.Threading.WaitHandle.WaitOne 90\nThread (1);a.B.run 10\n",
        Category::ThreadWaiting
    )]
    #[case::waits_for_a_lock(
        "Thread (1);a.B.run;System.Threading.Monitor.Enter 99\nThread (1);a.B.run 1\n",
        Category::LockContention
    )]
    fn a_thread_that_only_waits_is_idle(#[case] folded: &str, #[case] category: Category) {
        let (_, claims) = claims(folded, ProfileType::Wall);
        assert_eq!(claims.claims().flatten().next().map(|claim| claim.category), Some(category));
    }
}
