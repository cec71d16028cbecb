//! What every adapter of the port must do, checked with the same profiles.
//!
//! The recorded answers were made from the same profiles (see [`pushes`]). What is expected is computed from them.

pub(in crate::sor::profile_data) mod unrecorded;

use chrono::{DateTime, TimeDelta, Utc};

use super::pyroscope::replay::{Recordings, shared};
use super::{MergedProfile, ProfileDataSor, ProfileQuery, StepWidth};
use crate::kernel::{CALL, FixedClock, NoDataReason, PortError, ProfileType, Selector, TimeWindow};
use crate::profile::{FunctionTable, Profile, ReadLimits, SampleType, read_pprof};

/// One profile to be stored before the suite runs.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    /// The app.
    pub(crate) app: &'static str,
    /// The name of the profile, such as `process_cpu`.
    pub(crate) name: &'static str,
    /// The pprof, as it was received.
    pub(crate) pprof: Vec<u8>,
    /// When it starts.
    pub(crate) at: DateTime<Utc>,
    /// Its labels other than app and name.
    pub(crate) labels: [(&'static str, &'static str); 1],
}

/// What the tested source has and can answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    /// It answers any window, not only those that were recorded.
    pub(crate) any_window: bool,
    /// It says when the last profile of a kind came, and not only the last profile of CPU time.
    pub(crate) last_of_kind: bool,
    /// It has the heap profiles of `checkout`.
    pub(crate) heap: bool,
}

/// Noon on the day of the recordings.
fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_176_000, 0).unwrap()
}

/// The time at which the suite runs: half past one.
pub(crate) fn clock() -> FixedClock {
    FixedClock::at(noon() + TimeDelta::minutes(90))
}

/// The profiles that the suite needs, oldest first. `None`, with a printed note, if they are not there.
pub(crate) fn pushes() -> Option<Vec<Push>> {
    let real = |file: &str| Some(std::fs::read(shared("profiles")?.join(file)).unwrap());
    let later = Recordings::of("v2")?.body("merge-checkout-cpu-later");
    let labels = [("region", "eu")];
    let mut pushes = Vec::new();
    for second in [0, 15, 30] {
        let at = noon() + TimeDelta::seconds(second);
        for (app, name, file) in [
            ("checkout", "process_cpu", "go-cpu.pb.gz"),
            ("checkout", "memory", "go-heap.pb.gz"),
            ("search", "process_cpu", "java-cpu.pb.gz"),
        ] {
            pushes.push(Push { app, name, pprof: real(file)?, at, labels });
        }
    }
    let at = noon() + TimeDelta::hours(1);
    pushes.push(Push { app: "checkout", name: "process_cpu", pprof: later, at, labels });
    Some(pushes)
}

fn window(from_minute: i64, to_minute: i64) -> TimeWindow {
    let at = |minute| noon() + TimeDelta::minutes(minute);
    TimeWindow::new(at(from_minute), at(to_minute)).unwrap()
}

/// The window of the first pushes, and that of the last one.
fn first() -> TimeWindow {
    window(-1, 10)
}

fn later() -> TimeWindow {
    window(59, 70)
}

fn query(app: &str, kind: ProfileType, window: TimeWindow, selector: &str) -> ProfileQuery {
    ProfileQuery { app: app.parse().unwrap(), kind, window, selector: selector.parse().unwrap(), tenant: None }
}

/// Name, self and total of every function, in the table's order.
type Rows = Vec<(String, i64, i64)>;

fn rows(profile: &Profile, sample_type: usize, times: i64) -> Rows {
    let table = FunctionTable::of(profile, sample_type);
    table.rows().iter().map(|row| (row.name.to_owned(), row.self_ticks * times, row.total_ticks * times)).collect()
}

/// What a push stored so often must come back as.
fn expected(pushes: &[Push], app: &str, name: &str, sample_type: &str, times: i64) -> Rows {
    let push = pushes.iter().find(|push| push.app == app && push.name == name).unwrap();
    expected_of(&push.pprof, sample_type, times)
}

fn expected_of(pprof: &[u8], sample_type: &str, times: i64) -> Rows {
    let profile = read_pprof(pprof, &ReadLimits::default()).unwrap().profile;
    let place = profile.sample_types().iter().position(|t| t.name == sample_type).unwrap();
    rows(&profile.only(place), 0, times)
}

fn answered(merged: &MergedProfile) -> Rows {
    if merged.profile.sample_types().is_empty() { Rows::new() } else { rows(&merged.profile, 0, 1) }
}

async fn merged(sor: &dyn ProfileDataSor, query: &ProfileQuery) -> Option<MergedProfile> {
    sor.merged(&CALL, query).await.unwrap()
}

/// Runs the whole suite.
pub(crate) async fn check(sor: &dyn ProfileDataSor, source: Source) {
    let Some(pushes) = pushes() else { return };
    lists_apps(sor).await;
    merges_everything(sor, &pushes, source).await;
    tells_unknown_from_silent(sor).await;
    tells_why_there_is_no_data(sor).await;
    follows_the_selector(sor, &pushes).await;
    reads_pairs(sor, &pushes).await;
    tells_the_first_half_of_a_baseline(sor, &pushes).await;
    reads_step_by_step(sor, &pushes, source).await;
    if source.any_window {
        tells_when_the_last_profile_came(sor, source).await;
        windows_are_half_open(sor, &pushes).await;
        tells_what_an_app_held_that_has_ended(sor, &pushes, source).await;
    }
}

async fn lists_apps(sor: &dyn ProfileDataSor) {
    let apps: Vec<_> = sor.apps(&CALL, None, first()).await.unwrap().iter().map(ToString::to_string).collect();
    assert!(
        apps.is_sorted() && apps.contains(&"checkout".to_owned()) && apps.contains(&"search".to_owned()),
        "{apps:?}"
    );
    assert!(sor.apps(&CALL, None, window(-300, -200)).await.unwrap().is_empty());
}

async fn merges_everything(sor: &dyn ProfileDataSor, pushes: &[Push], source: Source) {
    let cpu = merged(sor, &query("checkout", ProfileType::Cpu, first(), "")).await.unwrap();
    assert_eq!(cpu.meta.sample_type, Some(SampleType::new("cpu", "nanoseconds")));
    assert_eq!(cpu.profile.sample_types(), [SampleType::new("cpu", "nanoseconds")]);
    assert_eq!(cpu.meta.profile_types, ["process_cpu:cpu:nanoseconds:cpu:nanoseconds"]);
    assert_eq!(cpu.meta.truncated_ticks, 0);
    assert_eq!(answered(&cpu), expected(pushes, "checkout", "process_cpu", "cpu", 3));

    let java = merged(sor, &query("search", ProfileType::Cpu, first(), "")).await.unwrap();
    assert_eq!(answered(&java), expected(pushes, "search", "process_cpu", "cpu", 3));

    if source.heap {
        let alloc = merged(sor, &query("checkout", ProfileType::Alloc, first(), "")).await.unwrap();
        assert_eq!(alloc.meta.sample_type, Some(SampleType::new("alloc_space", "bytes")));
        // The recorded server gave some callers in this profile more than its stacks contain. Self values are exact.
        let own = |rows: Rows| rows.into_iter().map(|(name, ticks, _)| (name, ticks)).collect::<Vec<_>>();
        assert_eq!(own(answered(&alloc)), own(expected(pushes, "checkout", "memory", "alloc_space", 3)));
    }
}

async fn tells_unknown_from_silent(sor: &dyn ProfileDataSor) {
    assert!(merged(sor, &query("nobody", ProfileType::Cpu, first(), "")).await.is_none());

    let silent = merged(sor, &query("checkout", ProfileType::Cpu, window(-300, -200), "")).await.unwrap();
    assert_eq!((silent.profile.stack_count(), silent.meta.truncated_ticks), (0, 0));

    let without_kind = merged(sor, &query("search", ProfileType::Lock, first(), "")).await.unwrap();
    assert_eq!((without_kind.profile.stack_count(), without_kind.meta.sample_type), (0, None));
    assert!(without_kind.meta.profile_types.is_empty());
}

async fn tells_why_there_is_no_data(sor: &dyn ProfileDataSor) {
    use NoDataReason::{KindNeverSent, NoSeriesMatches, NoneInWindow};
    let mut answers = Vec::new();
    for (app, kind, window, selector) in [
        ("search", ProfileType::Lock, first(), ""),
        ("checkout", ProfileType::Cpu, first(), r#"region!="eu""#),
        ("checkout", ProfileType::Cpu, window(-300, -200), ""),
        ("checkout", ProfileType::Cpu, first(), ""),
    ] {
        let meta = merged(sor, &query(app, kind, window, selector)).await.unwrap().meta;
        let kinds = [ProfileType::Cpu, ProfileType::Lock].map(|kind| meta.kinds.contains(&kind));
        assert_eq!(kinds, [true, false], "{app} sends cpu and no lock profiles: {meta:?}");
        answers.push(meta.no_data);
    }
    assert_eq!(answers, [Some(KindNeverSent), Some(NoSeriesMatches), Some(NoneInWindow), None]);
}

async fn follows_the_selector(sor: &dyn ProfileDataSor, pushes: &[Push]) {
    let eu = merged(sor, &query("checkout", ProfileType::Cpu, first(), r#"region="eu""#)).await.unwrap();
    assert_eq!(answered(&eu), expected(pushes, "checkout", "process_cpu", "cpu", 3));
    let elsewhere = merged(sor, &query("checkout", ProfileType::Cpu, first(), r#"region!="eu""#)).await.unwrap();
    assert_eq!(elsewhere.profile.stack_count(), 0);
}

async fn reads_pairs(sor: &dyn ProfileDataSor, pushes: &[Push]) {
    let everything = Selector::default();
    let current = query("checkout", ProfileType::Cpu, later(), "");
    let (baseline, now) = sor.merged_pair(&CALL, &current, first(), &everything).await.unwrap().unwrap();
    assert_eq!(answered(&baseline), expected(pushes, "checkout", "process_cpu", "cpu", 3));
    let last = pushes.last().unwrap();
    assert_eq!(answered(&now), expected_of(&last.pprof, "cpu", 1));
    assert_eq!((baseline.meta.sample_type.clone(), 2), (now.meta.sample_type.clone(), 2));

    let (silent, now) = sor.merged_pair(&CALL, &current, window(-300, -200), &everything).await.unwrap().unwrap();
    assert_eq!(silent.profile.stack_count(), 0);
    assert_eq!(answered(&now), expected_of(&last.pprof, "cpu", 1));

    let nobody = query("nobody", ProfileType::Cpu, later(), "");
    assert!(sor.merged_pair(&CALL, &nobody, first(), &everything).await.unwrap().is_none());
}

async fn tells_the_first_half_of_a_baseline(sor: &dyn ProfileDataSor, pushes: &[Push]) {
    let everything = Selector::default();
    let current = query("checkout", ProfileType::Cpu, later(), "");
    // Three pushes are in its first half, one is in its second.
    let (baseline, now) = sor.merged_pair(&CALL, &current, window(-10, 80), &everything).await.unwrap().unwrap();
    let types = baseline.profile.sample_types().iter().map(|t| (t.name.as_str(), t.unit.as_str()));
    assert_eq!(types.collect::<Vec<_>>(), [("cpu", "nanoseconds"), ("first_half_cpu", "nanoseconds")]);
    let first = baseline.profile.only(baseline.first_half().unwrap());
    assert_eq!(rows(&first, 0, 1), expected(pushes, "checkout", "process_cpu", "cpu", 3));
    assert_eq!(baseline.profile.total(0), first.total(0) + now.profile.total(0));
    assert_eq!(now.first_half(), None, "only of the baseline");

    // All of it is in the first half, so there is nothing to compare it with.
    let (baseline, _) = sor.merged_pair(&CALL, &current, self::first(), &everything).await.unwrap().unwrap();
    assert_eq!(baseline.first_half(), None);
}

async fn reads_step_by_step(sor: &dyn ProfileDataSor, pushes: &[Push], source: Source) {
    let cpu = query("checkout", ProfileType::Cpu, first(), "");
    // Three pushes, 15 s apart, the first one where its step begins.
    let quarter = StepWidth::new(TimeDelta::seconds(15)).unwrap();
    for (width, per_step) in [(StepWidth::MINUTE, &[3][..]), (quarter, &[1, 1, 1])] {
        let of_step = |times: &i64| expected(pushes, "checkout", "process_cpu", "cpu", *times);
        let wanted: Vec<_> = (0..).zip(per_step.iter().map(of_step)).collect();
        let start = |step: i32| noon() + width.get() * step;
        let totals = sor.totals(&CALL, &cpu, width).await.unwrap().unwrap();
        let of_rows = |rows: &Rows| rows.iter().map(|(_, own, _)| own).sum::<i64>();
        let wanted_totals: Vec<_> = wanted.iter().map(|(step, rows)| (start(*step), of_rows(rows))).collect();
        assert_eq!(totals.steps, wanted_totals);
        assert_eq!(totals.meta.sample_type, Some(SampleType::new("cpu", "nanoseconds")));
        // No recorded window is as short as a quarter of a minute.
        if width == quarter && !source.any_window {
            continue;
        }
        let short = ProfileQuery { window: window(0, 1), ..cpu.clone() };
        let stacks = sor.stacks(&CALL, &short, width).await.unwrap().unwrap();
        let read: Vec<_> = stacks.steps.iter().map(|(at, profile)| (*at, rows(profile, 0, 1))).collect();
        assert_eq!(read, wanted.into_iter().map(|(step, rows)| (start(step), rows)).collect::<Vec<_>>());
        assert_eq!(stacks.meta.kinds.contains(&ProfileType::Cpu), totals.meta.kinds.contains(&ProfileType::Cpu));
    }
    let lock = query("search", ProfileType::Lock, first(), "");
    let nothing = sor.totals(&CALL, &lock, StepWidth::MINUTE).await.unwrap().unwrap();
    assert_eq!((nothing.steps.len(), nothing.meta.no_data), (0, Some(NoDataReason::KindNeverSent)));
    let nobody = query("nobody", ProfileType::Cpu, first(), "");
    assert!(sor.totals(&CALL, &nobody, StepWidth::MINUTE).await.unwrap().is_none());
    assert!(sor.stacks(&CALL, &nobody, StepWidth::MINUTE).await.unwrap().is_none());
    let day = ProfileQuery { window: window(-1_440, 60), ..cpu };
    let refused = sor.totals(&CALL, &day, StepWidth::MINUTE).await.unwrap_err();
    assert!(matches!(&refused, PortError::Invalid(why) if why.contains("1500 steps")), "{refused}");
}

async fn tells_when_the_last_profile_came(sor: &dyn ProfileDataSor, source: Source) {
    let kinds = if source.last_of_kind { 2 } else { 1 };
    for (kind, at) in
        [(ProfileType::Cpu, TimeDelta::hours(1)), (ProfileType::Alloc, TimeDelta::seconds(30))].into_iter().take(kinds)
    {
        let silent = merged(sor, &query("checkout", kind, window(75, 85), "")).await.unwrap();
        assert_eq!((silent.profile.stack_count(), silent.meta.no_data), (0, Some(NoDataReason::NoneInWindow)));
        assert_eq!(silent.meta.last_profile_at, Some(noon() + at), "of the kind that was asked for");
    }
}

async fn windows_are_half_open(sor: &dyn ProfileDataSor, pushes: &[Push]) {
    let at = |second| noon() + TimeDelta::seconds(second);
    let half = TimeWindow::new(at(0), at(30)).unwrap();
    let two = merged(sor, &query("checkout", ProfileType::Cpu, half, "")).await.unwrap();
    assert_eq!(answered(&two), expected(pushes, "checkout", "process_cpu", "cpu", 2));
}

/// The last snapshots came ten minutes before the window ends.
async fn tells_what_an_app_held_that_has_ended(sor: &dyn ProfileDataSor, pushes: &[Push], source: Source) {
    if !source.heap {
        return;
    }
    let held = merged(sor, &query("checkout", ProfileType::Inuse, first(), "")).await.unwrap();
    assert_eq!(held.meta.sample_type, Some(SampleType::new("inuse_space", "bytes")));
    let shares = |rows: Rows| {
        let total: i64 = rows.iter().map(|(_, own, _)| own).sum();
        let share = |(name, own, _): (String, i64, i64)| (name, own as f64 / total as f64);
        rows.into_iter().map(share).collect::<Vec<_>>()
    };
    assert_eq!(shares(answered(&held)), shares(expected(pushes, "checkout", "memory", "inuse_space", 1)));
    let width = StepWidth::new(TimeDelta::minutes(5)).unwrap();
    let over_time = ProfileQuery { window: window(-5, 10), ..query("checkout", ProfileType::Inuse, first(), "") };
    let steps = sor.totals(&CALL, &over_time, width).await.unwrap().unwrap().steps;
    let one: i64 = expected(pushes, "checkout", "memory", "inuse_space", 1).iter().map(|(_, own, _)| own).sum();
    assert_eq!(steps, [(noon(), one)], "the last snapshot, not the sum of all");
    let stacks = sor.stacks(&CALL, &over_time, width).await.unwrap().unwrap().steps;
    let read: Vec<_> = stacks.iter().map(|(at, profile)| (*at, rows(profile, 0, 1))).collect();
    assert_eq!(read, [(noon(), expected(pushes, "checkout", "memory", "inuse_space", 1))]);
}
