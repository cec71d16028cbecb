//! The names at the root of every stack.

use super::text::frame_type;

/// What Python calls the body of a module.
pub(in crate::verdict) const MODULE_BODY: &str = "<module>";

/// Frames at the root of everything: they are on every path and tell nothing.
const ENTRIES: &[&str] = &[
    "main",
    "main.main",
    MODULE_BODY,
    "_start",
    "__libc_start_main",
    "__libc_start_main_impl",
    "__libc_start_call_main",
    "start_thread",
    "clone",
    "clone3",
    "__clone",
    "__clone3",
    "thread_start",
    "all",
    "root",
    "total",
    "(root)",
    "<top-level>",
    "{main}",
    // Of the JVM.
    "Interpreter",
    "call_stub",
    "thread_entry",
    // Between user and kernel frames.
    "-",
    // Of .NET's own traces.
    "Threads",
    TIME_MARKERS[0],
    TIME_MARKERS[1],
];

/// What `dotnet-trace` puts at the end of every stack: where the time went, and no function.
pub(in crate::verdict) const TIME_MARKERS: [&str; 2] = ["CPU_TIME", "UNMANAGED_CODE_TIME"];

/// Libraries that are the runtime's own, however a profiler writes them before a name.
const RUNTIME_LIBRARIES: [&str; 11] = [
    "libjvm.so",
    "libc.so",
    "libc-2",
    "libpthread",
    "ld-linux",
    "libcoreclr.so",
    "libpython",
    "libsystem_",
    "libdyld.",
    "libdispatch.",
    "libobjc.",
];

/// Whether the frame is an entry point, a marker or the runtime's library: on every path and telling nothing.
pub(in crate::verdict) fn is_entry(name: &str) -> bool {
    name.is_empty()
        || RUNTIME_LIBRARIES.iter().any(|library| name.starts_with(library))
        || ENTRIES.contains(&frame_type(name).0)
        || name.starts_with('[')
        || name.starts_with('(') && name.ends_with(')')
        || is_thread_or_process(name)
}

/// Whether the frame stands for a thread or a process: `Thread (123)`, `thread (7): MainThread`, `Process64 shop (7) Args: …`, `[main tid=12]`.
pub(in crate::verdict) fn is_thread_or_process(name: &str) -> bool {
    name.starts_with("Thread (")
        || name.starts_with("thread (") && name.contains("): ")
        || name.starts_with("process ") && name.contains(":\"")
        || name.starts_with("Process") && name.contains(") Args: ")
        || name.contains(" tid=")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("main.main", true)]
    #[case("<module>", true)]
    #[case("(garbage collector)", true)]
    #[case("libjvm.so.G1CollectedHeap::new_mutator_alloc_region", true)]
    #[case("Thread (6146212)", true)]
    #[case("Process64 shop (92631) Args: /srv/shop.dll", true)]
    #[case("thread (11608): ThreadPoolExecutor-0_7", true)]
    #[case("process 92631:\"python shop.py\"", true)]
    #[case("ThreadPool.run", false)]
    #[case("Interpreter_[j]", true)]
    #[case("main.work", false)]
    #[case("(*T).M", false)]
    fn knows_the_entries_of_everything(#[case] name: &str, #[case] expected: bool) {
        assert_eq!(is_entry(name), expected);
    }
}
