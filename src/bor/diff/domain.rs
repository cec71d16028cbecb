//! What a diff compares and finds. Pure: nothing here awaits.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::bor::SorAnswer;
use crate::bor::facts::{observed, source_facts};
use crate::bor::relational::{narrowed, tenant_of};
use crate::http::{Code, Problem, TimeParam, default_to, windows};
use crate::kernel::{AppName, DEFAULT_WINDOW, ProfileType, Selector, Text255, TimeWindow};
use crate::sor::profile_data::{MergedProfile, ProfileQuery};
use crate::sor::registry::Service;
use crate::verdict::{ChangedFunction, Compared, Comparison, Limit, Rules, Side};

/// How long a service has to warm up after a deploy.
const DEFAULT_SETTLE: TimeDelta = TimeDelta::minutes(5);

/// What to compare.
#[derive(Debug, Clone)]
pub struct DiffRequest {
    /// The current window: app, kind, window, and which of the app's series.
    pub current: ProfileQuery,
    /// The baseline window.
    pub baseline: TimeWindow,
    /// The series of the app that are read in the baseline window.
    pub baseline_selector: Selector,
    /// At most this many rows in each list; 0 means all.
    pub limit: usize,
    /// Who asks, for the history.
    pub requested_by: Option<Text255>,
}

impl DiffRequest {
    /// The same request for the own series of a registered service, under its tenant.
    pub(super) fn narrowed(&self, service: Option<&Service>) -> Self {
        let selector = narrowed(&self.current.selector, service);
        let baseline_selector = narrowed(&self.baseline_selector, service);
        let current = ProfileQuery { selector, tenant: tenant_of(service), ..self.current.clone() };
        Self { current, baseline_selector, ..self.clone() }
    }
}

/// Two profiles to compare without a server.
#[derive(Debug, Clone)]
pub struct FilesDiff<'a> {
    /// The catalogue of rules.
    pub rules: &'a Rules,
    /// A name to show.
    pub app: AppName,
    /// The kind of profile.
    pub kind: ProfileType,
    /// The profiles: baseline, then current.
    pub profiles: [MergedProfile; 2],
    /// Their windows, where they say.
    pub windows: [Option<TimeWindow>; 2],
    /// The approved limits, where some are given.
    pub limits: Option<&'a [Limit<'a>]>,
    /// At most this many rows in each list; 0 means all.
    pub limit: usize,
}

/// What changed between two windows of an app.
#[derive(Debug, Clone)]
pub struct Diff {
    /// The app.
    pub app: AppName,
    /// The kind of profile.
    pub kind: ProfileType,
    /// The windows, baseline first; `None` where a profile came without one.
    pub windows: [Option<TimeWindow>; 2],
    /// The request, narrowed to the app's own series; `None` if the profiles came without a server.
    pub asked: Option<DiffRequest>,
    /// Full profile type IDs of the current window.
    pub profile_types: Vec<String>,
    /// At most this many rows in each list; 0 means all.
    pub limit: usize,
    /// What the statistics say.
    pub comparison: Comparison,
    /// Whether limits were checked.
    pub limits: SorAnswer<()>,
    /// Whether the registry gave the labels of the app's own series.
    pub registry: SorAnswer<()>,
    /// Whether the report was recorded.
    pub history: SorAnswer<()>,
}

impl Diff {
    /// The comparison of profiles that came without a server: no history, no links. Without windows nothing is said per
    /// second.
    pub fn of_files(files: &FilesDiff<'_>) -> Self {
        let [baseline, current] = &files.profiles;
        let seconds = files.windows.map(|window| window.map(|w| w.seconds()));
        Self {
            app: files.app.clone(),
            kind: files.kind,
            windows: files.windows,
            asked: None,
            profile_types: Vec::new(),
            limit: files.limit,
            comparison: compare(
                files.rules,
                files.kind,
                (baseline, current),
                seconds,
                files.limits.unwrap_or_default(),
            ),
            limits: if files.limits.is_some() { SorAnswer::Known(()) } else { SorAnswer::NotAsked },
            registry: SorAnswer::NotAsked,
            history: SorAnswer::NotAsked,
        }
    }

    /// Functions whose share grew by more than 0.1 points, the largest change first.
    pub fn grown(&self) -> impl Iterator<Item = &ChangedFunction> {
        self.comparison.rows.iter().filter(|row| row.delta > 0.0)
    }

    /// Functions whose share shrank by more than 0.1 points, the largest change first.
    pub fn shrunk(&self) -> impl Iterator<Item = &ChangedFunction> {
        self.comparison.rows.iter().filter(|row| row.delta <= 0.0)
    }

    /// How many rows of a list are shown.
    pub fn shown(&self) -> usize {
        if self.limit == 0 { usize::MAX } else { self.limit }
    }

    /// Functions whose share grew and is over its approved limit; absent where limits are not known.
    pub fn threshold_breaches(&self) -> Option<usize> {
        let over = |row: &&ChangedFunction| row.limit.is_some_and(|limit| row.percent[1] > limit);
        self.limits.known().map(|()| self.grown().filter(over).count())
    }
}

/// The windows of a diff as callers give them.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiffWindows {
    /// The current window's start.
    pub from: Option<TimeParam>,
    /// The current window's end.
    pub to: Option<TimeParam>,
    /// The baseline window's start.
    pub baseline_from: Option<TimeParam>,
    /// The baseline window's end.
    pub baseline_to: Option<TimeParam>,
    /// A deploy between the two windows.
    pub at: Option<TimeParam>,
    /// How long after the deploy the current window begins.
    pub settle: Option<TimeDelta>,
    /// Whether both windows read the same series.
    pub same_series: bool,
}

impl DiffWindows {
    /// Both windows, baseline first.
    ///
    /// With `at`, the baseline is the hour before it and the current window the hour from `settle` after it, as far as
    /// that has passed. Otherwise each time that is not given is counted from the one after it. Different series are
    /// compared over one window.
    ///
    /// # Errors
    /// `window_invalid` for a window that is reversed, too long or has not begun; `windows_overlap` for windows of the
    /// same series that share an instant; `parameter_invalid` for `at` beside times or `settle` without it.
    pub fn resolve(&self, now: DateTime<Utc>) -> Result<(TimeWindow, TimeWindow), Problem> {
        let (baseline, current) = match self.at {
            Some(at) => self.around(at.at(now)?, now)?,
            None => self.given(now)?,
        };
        if self.same_series && baseline.overlaps(&current) {
            let detail = "the windows overlap: a diff of a window with itself says nothing; give windows apart, or \
                          other series by baselineSelector";
            return Err(Problem::new(Code::WindowsOverlap, detail));
        }
        Ok((baseline, current))
    }

    fn around(&self, at: DateTime<Utc>, now: DateTime<Utc>) -> Result<(TimeWindow, TimeWindow), Problem> {
        let times = [("from", self.from), ("to", self.to), ("baselineFrom", self.baseline_from)];
        let times = times.into_iter().chain([("baselineTo", self.baseline_to)]);
        if let Some((name, _)) = times.into_iter().find(|(_, time)| time.is_some()) {
            return Err(Problem::field(
                Code::ParameterInvalid,
                name,
                "at stands for all four times: give one or the other",
            ));
        }
        let from = at + self.settle.unwrap_or(DEFAULT_SETTLE);
        let to = (from + DEFAULT_WINDOW).min(default_to(now));
        if to <= from {
            let settle = humantime::format_duration((from - at).to_std().unwrap_or_default());
            let detail = format!(
                "at is too recent: the current window begins {settle} (settle) after it, at {}; ask again a minute after \
                 that, or give a shorter settle (--settle on the command line)",
                from.to_rfc3339_opts(SecondsFormat::Secs, true)
            );
            return Err(Problem::new(Code::WindowInvalid, detail));
        }
        Ok((TimeWindow::new(at - DEFAULT_WINDOW, at)?, TimeWindow::new(from, to)?))
    }

    fn given(&self, now: DateTime<Utc>) -> Result<(TimeWindow, TimeWindow), Problem> {
        if self.settle.is_some() {
            return Err(Problem::field(Code::ParameterInvalid, "settle", "is given without at"));
        }
        let baseline_ends = (self.baseline_from, self.baseline_to);
        let (baseline, current) = windows(baseline_ends, (self.from, self.to), now)?;
        let over_one_window = !self.same_series && baseline_ends == (None, None);
        Ok((if over_one_window { current } else { baseline }, current))
    }
}

/// Compares two windows of so many seconds and holds the current one against the limits of its kind.
pub(super) fn compare(
    rules: &Rules,
    kind: ProfileType,
    (baseline, current): (&MergedProfile, &MergedProfile),
    seconds: [Option<f64>; 2],
    limits: &[Limit<'_>],
) -> Comparison {
    let ([before, now], first_half) = (seconds, baseline.first_half());
    let (baseline, current) = (side(baseline, before), side(current, now));
    Comparison::of(&Compared { rules, kind, baseline, current, limits, first_half })
}

fn side(merged: &MergedProfile, seconds: Option<f64>) -> Side<'_> {
    let seconds = seconds.map(|seconds| observed(&merged.meta, seconds).seconds);
    Side { profile: &merged.profile, seconds, facts: source_facts(&merged.meta) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const NOW: i64 = 1_706_003_600;

    /// Start and end of a window, seconds from now.
    type Ends = (i64, i64);

    fn seconds(window: TimeWindow) -> Ends {
        (window.from().timestamp() - NOW, window.to().timestamp() - NOW)
    }

    /// `from`, `to`, `baselineFrom`, `baselineTo`, `at`, each in seconds from now where given.
    fn windows(times: [Option<i64>; 5]) -> DiffWindows {
        let [from, to, baseline_from, baseline_to, at] =
            times.map(|time| time.map(|s| (NOW + s).to_string().parse::<TimeParam>().unwrap()));
        DiffWindows { from, to, baseline_from, baseline_to, at, settle: None, same_series: true }
    }

    fn resolve(windows: DiffWindows) -> Result<(Ends, Ends), Code> {
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        let (baseline, current) = windows.resolve(now).map_err(|problem| problem.code())?;
        Ok((seconds(baseline), seconds(current)))
    }

    #[rstest]
    #[case([None; 5], Ok(((-7_205, -3_605), (-3_605, -5))))]
    #[case([Some(-600), Some(0), None, None, None], Ok(((-4_200, -600), (-600, 0))))]
    #[case([None, Some(0), None, Some(-7_200), None], Ok(((-10_800, -7_200), (-3_600, 0))))]
    #[case([None, None, None, None, Some(-7_200)], Ok(((-10_800, -7_200), (-6_900, -3_300))))]
    #[case([None, None, None, None, Some(-1_200)], Ok(((-4_800, -1_200), (-900, -5))))]
    #[case([None, None, None, None, Some(-200)], Err(Code::WindowInvalid))]
    #[case([Some(-600), None, None, None, Some(-7_200)], Err(Code::ParameterInvalid))]
    #[case([Some(-600), Some(0), Some(-900), Some(-300), None], Err(Code::WindowsOverlap))]
    #[case([Some(-600), Some(0), Some(-300), Some(-900), None], Err(Code::WindowInvalid))]
    #[case([Some(0), Some(-600), None, None, None], Err(Code::WindowInvalid))]
    fn counts_each_part_from_the_one_after_it(
        #[case] times: [Option<i64>; 5],
        #[case] expected: Result<(Ends, Ends), Code>,
    ) {
        assert_eq!(resolve(windows(times)), expected);
    }

    #[test]
    fn other_series_are_compared_over_one_window() {
        let canary = DiffWindows { same_series: false, ..windows([Some(-600), Some(0), None, None, None]) };
        assert_eq!(resolve(canary), Ok(((-600, 0), (-600, 0))));
        let overlapping =
            DiffWindows { same_series: false, ..windows([Some(-600), Some(0), Some(-900), Some(-300), None]) };
        assert_eq!(resolve(overlapping), Ok(((-900, -300), (-600, 0))));
    }

    #[test]
    fn settling_time_belongs_to_a_deploy() {
        let settle = Some(TimeDelta::minutes(30));
        let deployed = DiffWindows { settle, ..windows([None, None, None, None, Some(-7_200)]) };
        assert_eq!(resolve(deployed), Ok(((-10_800, -7_200), (-5_400, -1_800))));
        assert_eq!(resolve(DiffWindows { settle, ..windows([None; 5]) }), Err(Code::ParameterInvalid));
    }
}
