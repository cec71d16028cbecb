//! Which profile types of an app answer a kind of profile.

use super::type_id::TypeId;
use crate::kernel::ProfileType;
use crate::profile::SampleType;

/// One profile type of an alternative: its name and sample type, and its period type where that decides.
struct Part {
    name: &'static str,
    sample_type: &'static str,
    period_type: Option<&'static str>,
}

const fn part(name: &'static str, sample_type: &'static str) -> Part {
    Part { name, sample_type, period_type: None }
}

impl Part {
    /// Whether a type that an app has is this one. What was taken by the wall clock (fgprof) is never CPU.
    fn fits(&self, id: &TypeId) -> bool {
        id.is(self.name, self.sample_type)
            && self.period_type.is_none_or(|period| id.period_type.eq_ignore_ascii_case(period))
            && !(self.sample_type == "samples" && is_wall_clock(&id.period_type) && self.period_type.is_none())
    }
}

/// Whether samples were taken at equal intervals of elapsed time: fgprof calls its period so.
fn is_wall_clock(period_type: &str) -> bool {
    period_type.eq_ignore_ascii_case(WALL_CLOCK)
}

const WALL_CLOCK: &str = "wallclock";

/// Java's park profile has the period type `block`. Go's block profile, which mostly shows healthy waits for channels,
/// has not.
const fn java_block(sample_type: &'static str) -> Part {
    Part { name: "block", sample_type, period_type: Some("block") }
}

/// Samples that a profiler of elapsed time counted.
const fn wall_clock(name: &'static str) -> Part {
    Part { name, sample_type: "samples", period_type: Some(WALL_CLOCK) }
}

/// An alternative: the types whose values are summed.
type Alternative = &'static [Part];

/// The second is what Pyroscope 2 makes of the CPU time in wall profiles of Node.js; the last three are what converters of
/// `perf` call its events.
const CPU: &[Alternative] = &[
    &[part("process_cpu", "cpu")],
    &[part("wall", "cpu")],
    &[part("process_cpu", "samples")],
    &[part("process_cpu", "cpu_samples")],
    &[part("process_cpu", "cycles_sample")],
    &[part("process_cpu", "cpu_clock_sample")],
    &[part("process_cpu", "task_clock_sample")],
];
/// Bytes before objects. Of the bytes, the last two are what async-profiler's converter calls samples of allocation, or the
/// bytes of them.
const ALLOC: &[Alternative] = &[
    &[part("memory", "alloc_in_new_tlab_bytes"), part("memory", "alloc_outside_tlab_bytes")],
    &[part("memory", "alloc_space")],
    &[part("memory", "alloc_sample_bytes")],
    &[part("memory", "alloc_size")],
    &[part("alloc", "alloc_size")],
    &[part("process_cpu", "alloc_size")],
    &[part("memory", "malloc_bytes")],
    &[part("allocations", "allocations"), part("memory", "allocations")],
    &[part("malloc", "malloc"), part("memory", "malloc")],
    &[part("memory", "alloc_in_new_tlab_objects"), part("memory", "alloc_outside_tlab_objects")],
    &[part("memory", "alloc_objects")],
    &[part("memory", "alloc_samples")],
];
/// The last alternative has the name that async-profiler's converter gives. Its values are numbers of waits, or their time.
const LOCK: &[Alternative] = &[
    &[part("mutex", "delay"), java_block("delay")],
    &[part("lock", "lock_time")],
    &[part("process_cpu", "lock_time")],
    &[part("mutex", "contentions"), java_block("contentions")],
    &[part("lock", "lock_count")],
    &[part("process_cpu", "lock_count")],
    &[part("locks", "locks"), part("lock", "locks"), part("mutex", "locks")],
];
/// fgprof's `time` comes under the name that its sender or its receiver gives it.
const WALL: &[Alternative] = &[
    &[part("wall", "wall")],
    &[part("wall", "time"), part("fgprof", "time"), part("process_cpu", "time")],
    &[part("wall", "samples")],
    &[wall_clock("wall"), wall_clock("fgprof"), wall_clock("process_cpu")],
];
const INUSE: &[Alternative] = &[
    &[part("memory", "inuse_space")],
    &[part("memory", "space")],
    &[part("heap", "inuse_space")],
    &[part("heap", "inuse_size")],
    &[part("memory", "inuse_objects")],
    &[part("memory", "live")],
    &[part("memory", "objects")],
    &[part("heap", "inuse_objects")],
];
const GOROUTINE: &[Alternative] =
    &[&[part("goroutines", "goroutine")], &[part("goroutine", "goroutine")], &[part("goroutine", "goroutines")]];
const EXCEPTION: &[Alternative] = &[
    &[part("exception", "exception")],
    &[part("exceptions", "samples")],
    &[part("exceptions", "exceptions")],
    &[part("process_cpu", "exception")],
    &[part("process_cpu", "exception_samples")],
];

/// The alternatives of a kind. Samples of an unknown kind have none: they are what no other kind knows.
fn alternatives(kind: ProfileType) -> &'static [Alternative] {
    match kind {
        ProfileType::Cpu => CPU,
        ProfileType::Alloc => ALLOC,
        ProfileType::Lock => LOCK,
        ProfileType::Wall => WALL,
        ProfileType::Inuse => INUSE,
        ProfileType::Goroutine => GOROUTINE,
        ProfileType::Exception => EXCEPTION,
        ProfileType::Samples => &[],
    }
}

/// The types of an alternative that exist, sorted, without repetition.
fn present(alternative: Alternative, available: &[TypeId]) -> Vec<TypeId> {
    let wanted = |id: &&TypeId| alternative.iter().any(|part| part.fits(id));
    let mut found: Vec<_> = available.iter().filter(wanted).cloned().collect();
    found.sort();
    found.dedup();
    found
}

fn same_unit(a: &TypeId, b: &TypeId) -> bool {
    a.sample_unit.eq_ignore_ascii_case(&b.sample_unit)
}

/// The unit to read where the types of an alternative have different ones: the finest unit of time, or else the first.
fn leading(ids: &[TypeId]) -> Option<&TypeId> {
    ids.iter().find(|id| id.sample_unit.eq_ignore_ascii_case("nanoseconds")).or_else(|| ids.first())
}

/// The types to read for a kind of profile, from those that an app has: the first alternative of which any exists. The
/// values of several types are summed, and all have one unit. Sorted, without repetition. `None`: the app has no such
/// kind.
pub(crate) fn resolve(kind: ProfileType, available: &[TypeId]) -> Option<Vec<TypeId>> {
    if kind == ProfileType::Samples {
        return unknown(available).next().map(|id| vec![id.clone()]);
    }
    alternatives(kind).iter().find_map(|alternative| {
        let found = present(alternative, available);
        let unit = leading(&found)?.clone();
        Some(found.into_iter().filter(|id| same_unit(id, &unit)).collect())
    })
}

/// The kinds of profile that can be read from types that an app has.
pub(crate) fn kinds(available: &[TypeId]) -> Vec<ProfileType> {
    ProfileType::ALL.into_iter().filter(|kind| resolve(*kind, available).is_some()).collect()
}

/// The types of an app that no kind knows, sorted.
fn unknown(available: &[TypeId]) -> impl Iterator<Item = &TypeId> {
    let is_known = |id: &TypeId| {
        let kinds = ProfileType::ALL.into_iter().flat_map(alternatives);
        kinds.flat_map(|alternative| alternative.iter()).any(|part| part.fits(id))
    };
    let mut ids: Vec<_> = available.iter().filter(|id| !is_known(id)).collect();
    ids.sort();
    ids.into_iter()
}

/// The same as [`resolve`] for two windows that are compared: the first alternative that both have, in a unit that both have.
pub(crate) fn resolve_pair(kind: ProfileType, a: &[TypeId], b: &[TypeId]) -> Option<(Vec<TypeId>, Vec<TypeId>)> {
    if kind == ProfileType::Samples {
        return unknown(a)
            .find(|id| unknown(b).any(|other| other == *id))
            .map(|id| (vec![id.clone()], vec![id.clone()]));
    }
    alternatives(kind).iter().find_map(|alternative| {
        let (a, b) = (present(alternative, a), present(alternative, b));
        let both: Vec<_> = a.iter().filter(|id| b.iter().any(|other| same_unit(id, other))).cloned().collect();
        let unit = leading(&both)?;
        let of_unit = |ids: &[TypeId]| ids.iter().filter(|id| same_unit(id, unit)).cloned().collect();
        Some((of_unit(&a), of_unit(&b)))
    })
}

/// The same as [`resolve`] for a profile without a name: the indices of the sample types to read, whose values are summed. Any name
/// matches. Bare `samples` count what the period type or a type beside them says, wall time or else CPU, as receivers of
/// pprof have it; text of which nothing says what it counts has no unit. Of types that no kind knows, the last is read as
/// samples of an unknown kind: tools show that by default.
pub(crate) fn resolve_unnamed(
    kind: ProfileType,
    sample_types: &[SampleType],
    period_type: Option<&str>,
) -> Option<Vec<usize>> {
    let usual = |name: &str| match name.to_ascii_lowercase().replace('-', "_") {
        bare if bare == "sample" => "samples".to_owned(),
        name => name,
    };
    let names: Vec<_> = sample_types.iter().map(|t| usual(&t.name)).collect();
    let says =
        |word: &str| names.iter().any(|n| n == word) || period_type.is_some_and(|p| p.eq_ignore_ascii_case(word));
    let is_of_wall = ["wall", "time", WALL_CLOCK].into_iter().any(says);
    let bare_of = if is_of_wall { "wall" } else { "process_cpu" };
    if kind == ProfileType::Samples {
        let kinds = ProfileType::ALL.into_iter().filter(|kind| *kind != ProfileType::Samples);
        let mut known = kinds.filter_map(|kind| resolve_unnamed(kind, sample_types, period_type));
        return if known.next().is_some() { None } else { sample_types.len().checked_sub(1).map(|last| vec![last]) };
    }
    alternatives(kind).iter().find_map(|alternative| {
        let says_nothing = |place: usize| sample_types.get(place).is_none_or(|t| t.unit.is_empty());
        let fits = |part: &Part, place: usize, name: &str| {
            part.sample_type == name && (name != "samples" || part.name == bare_of && !says_nothing(place))
        };
        let position = |part| names.iter().enumerate().position(|(place, name)| fits(part, place, name));
        let places = alternative.iter().filter_map(position);
        let mut found: Vec<(usize, &SampleType)> = Vec::new();
        for place in places {
            if let Some(sample_type) = sample_types.get(place).filter(|_| found.iter().all(|(seen, _)| *seen != place))
            {
                found.push((place, sample_type));
            }
        }
        let (_, first) = found.first()?;
        Some(found.iter().filter(|(_, t)| t.unit.eq_ignore_ascii_case(&first.unit)).map(|(place, _)| *place).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const CPU_NS: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
    const CPU_SAMPLES: &str = "process_cpu:samples:count:cpu:nanoseconds";
    const NEW_TLAB: &str = "memory:alloc_in_new_tlab_bytes:bytes:space:bytes";
    const OUTSIDE_TLAB: &str = "memory:alloc_outside_tlab_bytes:bytes:space:bytes";
    const ALLOC_SPACE: &str = "memory:alloc_space:bytes:space:bytes";
    const JAVA_MUTEX: &str = "mutex:delay:nanoseconds:mutex:count";
    const JAVA_BLOCK: &str = "block:delay:nanoseconds:block:count";
    const GO_MUTEX: &str = "mutex:delay:nanoseconds:contentions:count";
    const GO_BLOCK: &str = "block:delay:nanoseconds:contentions:count";

    fn ids(texts: &[&str]) -> Vec<TypeId> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn texts(ids: &[TypeId]) -> Vec<String> {
        ids.iter().map(ToString::to_string).collect()
    }

    #[rstest]
    #[case::go_cpu(ProfileType::Cpu, &[CPU_SAMPLES, CPU_NS, ALLOC_SPACE], &[CPU_NS])]
    #[case::cpu_as_samples(ProfileType::Cpu, &["process_cpu:samples:count::milliseconds"], &["process_cpu:samples:count::milliseconds"])]
    #[case::dotnet_cpu(ProfileType::Cpu, &["process_cpu:cpu_samples:count:cpu:nanoseconds"], &["process_cpu:cpu_samples:count:cpu:nanoseconds"])]
    #[case::upper_case(ProfileType::Cpu, &["process_cpu:sample:count:CPU:nanoseconds", "process_cpu:CPU:nanoseconds:CPU:nanoseconds"],
        &["process_cpu:CPU:nanoseconds:CPU:nanoseconds"])]
    #[case::node_period_differs(ProfileType::Cpu, &["process_cpu:cpu:nanoseconds:wall:nanoseconds", CPU_NS, CPU_NS],
        &[CPU_NS, "process_cpu:cpu:nanoseconds:wall:nanoseconds"])]
    #[case::tlab_summed(ProfileType::Alloc, &[OUTSIDE_TLAB, ALLOC_SPACE, NEW_TLAB], &[NEW_TLAB, OUTSIDE_TLAB])]
    #[case::tlab_alone(ProfileType::Alloc, &[OUTSIDE_TLAB], &[OUTSIDE_TLAB])]
    #[case::go_alloc(ProfileType::Alloc, &["memory:alloc_objects:count:space:bytes", ALLOC_SPACE], &[ALLOC_SPACE])]
    #[case::objects_alone(ProfileType::Alloc, &["memory:alloc_objects:count:space:bytes"], &["memory:alloc_objects:count:space:bytes"])]
    #[case::node_cpu_behind_pyroscope_2(ProfileType::Cpu, &["wall:cpu:nanoseconds:wall:nanoseconds", "wall:wall:nanoseconds:wall:nanoseconds"],
        &["wall:cpu:nanoseconds:wall:nanoseconds"])]
    #[case::async_profiler_4(ProfileType::Alloc, &["memory:alloc_sample_bytes:bytes:space:bytes"], &["memory:alloc_sample_bytes:bytes:space:bytes"])]
    #[case::dotnet_alloc(ProfileType::Alloc, &["memory:alloc_size:bytes:space:bytes"], &["memory:alloc_size:bytes:space:bytes"])]
    #[case::dotnet_old_alloc(ProfileType::Alloc, &["process_cpu:alloc_size:bytes:cpu:nanoseconds"], &["process_cpu:alloc_size:bytes:cpu:nanoseconds"])]
    #[case::jfrconv_alloc(ProfileType::Alloc, &["allocations:allocations:bytes::"], &["allocations:allocations:bytes::"])]
    #[case::jfrconv_malloc(ProfileType::Alloc, &["malloc:malloc:count::"], &["malloc:malloc:count::"])]
    #[case::jfrconv_lock(ProfileType::Lock, &["locks:locks:count::"], &["locks:locks:count::"])]
    #[case::malloc(ProfileType::Alloc, &["memory:malloc_bytes:bytes::"], &["memory:malloc_bytes:bytes::"])]
    #[case::java_lock(ProfileType::Lock, &[JAVA_MUTEX, JAVA_BLOCK], &[JAVA_BLOCK, JAVA_MUTEX])]
    #[case::java_park_alone(ProfileType::Lock, &[JAVA_BLOCK], &[JAVA_BLOCK])]
    #[case::go_block_left_out(ProfileType::Lock, &[GO_MUTEX, GO_BLOCK], &[GO_MUTEX])]
    #[case::dotnet_lock(ProfileType::Lock, &["lock:lock_count:count:cpu:nanoseconds", "lock:lock_time:nanoseconds:cpu:nanoseconds"],
        &["lock:lock_time:nanoseconds:cpu:nanoseconds"])]
    #[case::lock_counts_last(ProfileType::Lock, &["mutex:contentions:count:contentions:count", "process_cpu:lock_time:nanoseconds:cpu:nanoseconds"],
        &["process_cpu:lock_time:nanoseconds:cpu:nanoseconds"])]
    #[case::lock_counts(ProfileType::Lock, &["mutex:contentions:count:contentions:count", "block:contentions:count:contentions:count"],
        &["mutex:contentions:count:contentions:count"])]
    #[case::wall_in_two_units(ProfileType::Wall, &["wall:wall:microseconds:wall:microseconds", "wall:wall:nanoseconds:wall:nanoseconds"],
        &["wall:wall:nanoseconds:wall:nanoseconds"])]
    #[case::node_old_wall(ProfileType::Wall, &["wall:wall:microseconds:wall:microseconds", "wall:samples:count:wall:microseconds"],
        &["wall:wall:microseconds:wall:microseconds"])]
    #[case::fgprof(ProfileType::Wall, &["process_cpu:samples:count:wallclock:nanoseconds", "process_cpu:time:nanoseconds:wallclock:nanoseconds"],
        &["process_cpu:time:nanoseconds:wallclock:nanoseconds"])]
    #[case::fgprof_by_its_name(ProfileType::Wall, &["fgprof:time:nanoseconds:wallclock:nanoseconds"], &["fgprof:time:nanoseconds:wallclock:nanoseconds"])]
    #[case::fgprof_counted(ProfileType::Wall, &["process_cpu:samples:count:wallclock:nanoseconds"], &["process_cpu:samples:count:wallclock:nanoseconds"])]
    #[case::off_cpu_is_of_no_kind(ProfileType::Samples, &["offcpu:offcpu:nanoseconds::", CPU_NS], &["offcpu:offcpu:nanoseconds::"])]
    #[case::the_first_of_no_kind(ProfileType::Samples, &["foo:b:count::", "foo:a:count::"], &["foo:a:count::"])]
    #[case::wall_samples(ProfileType::Wall, &["wall:samples:count:wall:nanoseconds"], &["wall:samples:count:wall:nanoseconds"])]
    #[case::inuse(ProfileType::Inuse, &["memory:inuse_objects:count:space:bytes", "memory:inuse_space:bytes:space:bytes"],
        &["memory:inuse_space:bytes:space:bytes"])]
    #[case::java_live(ProfileType::Inuse, &["memory:live:count:objects:count"], &["memory:live:count:objects:count"])]
    #[case::goroutines_of_the_sdk(ProfileType::Goroutine, &["goroutines:goroutine:count:goroutine:count"], &["goroutines:goroutine:count:goroutine:count"])]
    #[case::goroutines_of_alloy(ProfileType::Goroutine, &["goroutine:goroutine:count:goroutine:count"], &["goroutine:goroutine:count:goroutine:count"])]
    #[case::exceptions(ProfileType::Exception, &["exception:exception:count:cpu:nanoseconds"], &["exception:exception:count:cpu:nanoseconds"])]
    fn takes_the_first_alternative_that_is_there(
        #[case] kind: ProfileType,
        #[case] available: &[&str],
        #[case] expected: &[&str],
    ) {
        assert_eq!(texts(&resolve(kind, &ids(available)).unwrap()), expected);
    }

    #[rstest]
    #[case::nothing(ProfileType::Cpu, &[])]
    #[case::fgprof_is_no_cpu(ProfileType::Cpu, &["process_cpu:samples:count:wallclock:nanoseconds"])]
    #[case::all_known(ProfileType::Samples, &[CPU_NS, CPU_SAMPLES, ALLOC_SPACE])]
    #[case::another_kind(ProfileType::Cpu, &[ALLOC_SPACE])]
    #[case::go_block_is_no_lock_profile(ProfileType::Lock, &[GO_BLOCK])]
    #[case::off_cpu_is_no_wall(ProfileType::Wall, &["offcpu:offcpu:nanoseconds::"])]
    fn finds_nothing_where_no_alternative_is_there(#[case] kind: ProfileType, #[case] available: &[&str]) {
        assert_eq!(resolve(kind, &ids(available)), None);
    }

    #[test]
    fn the_kinds_of_an_app_are_all_that_can_be_read() {
        let available = ids(&[CPU_SAMPLES, "memory:inuse_space:bytes:space:bytes", ALLOC_SPACE, GO_BLOCK]);
        let expected = [ProfileType::Cpu, ProfileType::Alloc, ProfileType::Inuse, ProfileType::Samples];
        assert_eq!(kinds(&available), expected);
        assert_eq!(kinds(&[]), []);
    }

    #[test]
    fn a_pair_is_read_under_the_first_alternative_that_both_windows_have() {
        let (a, b) = (ids(&[CPU_NS, CPU_SAMPLES]), ids(&[CPU_SAMPLES]));
        let (left, right) = resolve_pair(ProfileType::Cpu, &a, &b).unwrap();
        assert_eq!((texts(&left), texts(&right)), (vec![CPU_SAMPLES.to_owned()], vec![CPU_SAMPLES.to_owned()]));
    }

    #[test]
    fn a_pair_sums_on_each_side_what_is_there() {
        let (a, b) = (ids(&[NEW_TLAB, OUTSIDE_TLAB]), ids(&[NEW_TLAB]));
        let (left, right) = resolve_pair(ProfileType::Alloc, &a, &b).unwrap();
        assert_eq!((left.len(), right.len()), (2, 1));
    }

    #[test]
    fn a_pair_is_read_in_a_unit_that_both_have() {
        let micro = "wall:wall:microseconds:wall:microseconds";
        let (a, b) = (ids(&["wall:wall:nanoseconds:wall:nanoseconds", micro]), ids(&[micro]));
        let (left, right) = resolve_pair(ProfileType::Wall, &a, &b).unwrap();
        assert_eq!((texts(&left), texts(&right)), (vec![micro.to_owned()], vec![micro.to_owned()]));
    }

    #[rstest]
    #[case::tlab(ProfileType::Alloc, &["alloc_outside_tlab_bytes:bytes", "alloc_in_new_tlab_objects:count", "alloc_in_new_tlab_bytes:bytes"], None, &[2, 0])]
    #[case::go_heap(ProfileType::Alloc, &["alloc_objects:count", "alloc_space:bytes", "inuse_space:bytes"], None, &[1])]
    #[case::other_unit_left_out(ProfileType::Alloc, &["alloc_in_new_tlab_bytes:bytes", "alloc_outside_tlab_bytes:count"], None, &[0])]
    #[case::jfrconv_alloc(ProfileType::Alloc, &["allocations:count"], None, &[0])]
    #[case::jfrconv_lock(ProfileType::Lock, &["locks:nanoseconds"], None, &[0])]
    #[case::jfrconv_cpu(ProfileType::Cpu, &["cpu:count"], None, &[0])]
    #[case::hyphens(ProfileType::Alloc, &["cpu:nanoseconds", "alloc-size:bytes"], None, &[1])]
    #[case::upper_case(ProfileType::Cpu, &["sample:count", "CPU:nanoseconds"], None, &[1])]
    #[case::bare(ProfileType::Cpu, &["samples:count"], None, &[0])]
    #[case::bare_without_a_unit_is_no_cpu(ProfileType::Cpu, &["samples:"], None, &[])]
    #[case::bare_without_a_unit_is_of_no_kind(ProfileType::Samples, &["samples:"], None, &[0])]
    #[case::of_no_kind(ProfileType::Samples, &["foo:count", "bar:count"], None, &[1])]
    #[case::of_no_kind_beside_a_known_one(ProfileType::Samples, &["foo:count", "cpu:nanoseconds"], None, &[])]
    #[case::fgprof(ProfileType::Wall, &["samples:count", "time:nanoseconds"], Some("wallclock"), &[1])]
    #[case::fgprof_is_no_cpu(ProfileType::Cpu, &["samples:count", "time:nanoseconds"], Some("wallclock"), &[])]
    #[case::perf_converted(ProfileType::Cpu, &["cycles_sample:count", "cycles_event:count"], None, &[0])]
    #[case::page_faults(ProfileType::Samples, &["page-faults_sample:count", "page-faults_event:count"], None, &[1])]
    #[case::bare_of_wall(ProfileType::Wall, &["samples:count"], Some("wall"), &[0])]
    #[case::bare_of_wall_is_no_cpu(ProfileType::Cpu, &["samples:count"], Some("wall"), &[])]
    #[case::bare_is_no_exception(ProfileType::Exception, &["samples:count"], None, &[])]
    #[case::one_delay_once(ProfileType::Lock, &["contentions:count", "delay:nanoseconds"], None, &[1])]
    #[case::another_kind(ProfileType::Alloc, &["cpu:nanoseconds"], None, &[])]
    fn a_profile_without_a_name_is_read_by_its_sample_types(
        #[case] kind: ProfileType,
        #[case] sample_types: &[&str],
        #[case] period_type: Option<&str>,
        #[case] expected: &[usize],
    ) {
        let of = |text: &&str| text.split_once(':').map(|(name, unit)| SampleType::new(name, unit)).unwrap();
        let sample_types: Vec<_> = sample_types.iter().map(of).collect();
        assert_eq!(resolve_unnamed(kind, &sample_types, period_type).unwrap_or_default(), expected);
    }

    #[test]
    fn a_pair_without_a_common_type_is_none() {
        assert_eq!(resolve_pair(ProfileType::Cpu, &ids(&[CPU_NS]), &ids(&[ALLOC_SPACE])), None);
    }
}
