//! What a rule would have done over some time.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};

use super::measure::Measurement;
use super::step::{Change, Patience, Standing};
use super::verdict::Verdict;
use crate::kernel::{Percent, TimeWindow};
use crate::sor::alert_rule::RuleWindow;

/// Profiles of the last seconds are still on their way.
pub(super) const ON_THEIR_WAY: TimeDelta = TimeDelta::seconds(30);
/// The most evaluations of a trial.
const MOST_STEPS: usize = 300;
/// The most functions named for a firing.
const MOST_FUNCTIONS: usize = 20;

/// When a rule is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    first: DateTime<Utc>,
    width: TimeDelta,
    count: usize,
}

impl Steps {
    /// The evaluations of a window: at multiples of the rule's interval, as they are made by themselves; fewer, if there
    /// would be more than 300.
    pub fn of(window: TimeWindow, rule: RuleWindow, now: DateTime<Utc>) -> Self {
        let interval = i64::from(rule.interval_seconds());
        let first = (window.from() + TimeDelta::seconds(interval) - TimeDelta::nanoseconds(1)).timestamp() / interval;
        let last = window.to().min(now - ON_THEIR_WAY).timestamp() / interval;
        let all = usize::try_from(last - first + 1).unwrap_or(0);
        let every = all.div_ceil(MOST_STEPS).max(1);
        let count = all.div_ceil(every);
        let times = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let width = TimeDelta::seconds(rule.interval_seconds().into()) * times(every);
        let last = DateTime::from_timestamp(last * interval, 0).unwrap_or(window.to());
        // The newest one is always made.
        Self { first: last - width * times(count.saturating_sub(1)), width, count }
    }

    /// The time between two evaluations.
    pub fn width(self) -> TimeDelta {
        self.width
    }

    /// The times, in order.
    pub fn times(self) -> impl Iterator<Item = DateTime<Utc>> {
        std::iter::successors(Some(self.first), move |at| Some(*at + self.width)).take(self.count)
    }
}

/// One evaluation of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// When; it looked at the window before.
    pub at: DateTime<Utc>,
    /// What it says.
    pub verdict: Verdict,
    /// What was measured, where there was something to measure.
    pub measured: Option<Measurement>,
}

impl Evaluation {
    /// The evaluation of a profile.
    pub fn of(at: DateTime<Utc>, measured: Measurement, threshold: Percent) -> Self {
        Self { at, verdict: Verdict::of(&measured, threshold), measured: Some(measured).filter(|all| all.ticks > 0) }
    }

    /// The evaluation where there is no profile.
    pub fn without(at: DateTime<Utc>, verdict: Verdict) -> Self {
        Self { at, verdict, measured: None }
    }

    fn percent(&self) -> Option<f64> {
        self.measured.as_ref().map(|measured| measured.share.percent)
    }

    /// The functions over the threshold; if none is by itself, those that the share is made of.
    fn functions_over(&self, threshold: Percent) -> impl Iterator<Item = (&str, f64)> {
        let shown = self.measured.as_ref().map_or(&[][..], |measured| measured.functions_over(threshold).0);
        shown.iter().map(|function| (function.name.as_str(), function.share.percent))
    }
}

/// From when to when a rule fired.
#[derive(Debug, Clone, PartialEq)]
pub struct Firing {
    /// When its share was over the threshold first.
    pub pending_at: DateTime<Utc>,
    /// When it fired.
    pub fired_at: DateTime<Utc>,
    /// When it was resolved; absent if it still fires.
    pub resolved_at: Option<DateTime<Utc>>,
    /// The largest share in between, percent.
    pub worst_percent: f64,
    /// The functions over the threshold and the largest share of each, percent; largest first, at most 20.
    pub functions: Vec<(String, f64)>,
}

/// What a rule would have done.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The time between two evaluations.
    pub width: TimeDelta,
    /// The evaluations, in order of time.
    pub evaluations: Vec<Evaluation>,
    /// The firings, in order of time.
    pub firings: Vec<Firing>,
}

/// A trial, in figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// How often it fired.
    pub fired: usize,
    /// How long in all.
    pub firing: TimeDelta,
    /// How many evaluations had too few samples.
    pub insufficient: usize,
}

/// What is collected from pending to resolved.
#[derive(Default)]
struct Gathered {
    fired: Option<(DateTime<Utc>, DateTime<Utc>)>,
    worst_percent: f64,
    functions: BTreeMap<String, f64>,
}

impl Gathered {
    fn add(&mut self, evaluation: &Evaluation, threshold: Percent) {
        self.worst_percent = self.worst_percent.max(evaluation.percent().unwrap_or(0.0));
        if evaluation.verdict == Verdict::Over {
            for (name, percent) in evaluation.functions_over(threshold) {
                let worst = self.functions.entry(name.to_owned()).or_default();
                *worst = worst.max(percent);
            }
        }
    }

    fn firing(self, resolved_at: Option<DateTime<Utc>>) -> Option<Firing> {
        let (pending_at, fired_at) = self.fired?;
        let mut functions: Vec<_> = self.functions.into_iter().collect();
        functions.sort_by(|a, b| b.1.total_cmp(&a.1));
        functions.truncate(MOST_FUNCTIONS);
        Some(Firing { pending_at, fired_at, resolved_at, worst_percent: self.worst_percent, functions })
    }
}

impl Trial {
    /// Steps through evaluations in order of time.
    pub fn of(evaluations: Vec<Evaluation>, width: TimeDelta, threshold: Percent, patience: Patience) -> Self {
        let (mut standing, mut gathered, mut firings) = (Standing::Quiet, Gathered::default(), Vec::new());
        for evaluation in &evaluations {
            let (next, change) = standing.step(evaluation.verdict, evaluation.at, patience);
            standing = next;
            if standing != Standing::Quiet {
                gathered.add(evaluation, threshold);
            }
            match change {
                Change::Fired => gathered.fired = standing.active_since().zip(standing.fired_at()),
                Change::Ended => gathered = Gathered::default(),
                Change::Resolved(_) => firings.extend(std::mem::take(&mut gathered).firing(Some(evaluation.at))),
                Change::None | Change::Began => {}
            }
        }
        firings.extend(gathered.firing(None));
        Self { width, evaluations, firings }
    }

    /// The last evaluation's time.
    pub fn evaluated_to(&self) -> Option<DateTime<Utc>> {
        self.evaluations.last().map(|last| last.at)
    }

    /// The trial in figures.
    pub fn summary(&self) -> Summary {
        let end = |firing: &Firing| firing.resolved_at.or_else(|| self.evaluated_to()).unwrap_or(firing.fired_at);
        Summary {
            fired: self.firings.len(),
            firing: self.firings.iter().fold(TimeDelta::zero(), |sum, one| sum + (end(one) - one.fired_at)),
            insufficient: self.count(Verdict::Insufficient),
        }
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.evaluations.iter().filter(|evaluation| evaluation.verdict == verdict).count()
    }

    /// Whether any evaluation had enough data to say something.
    pub fn has_data(&self) -> bool {
        let says = [Verdict::Over, Verdict::Clear, Verdict::Unclear];
        self.evaluations.iter().any(|evaluation| says.contains(&evaluation.verdict))
    }

    /// One sentence or two. `of` is what shares are of, such as `cpu`.
    pub fn headline(&self, of: &str, threshold: Percent) -> String {
        let Summary { fired, firing, insufficient } = self.summary();
        let all = self.evaluations.len();
        let limit = threshold.get();
        if !self.has_data() {
            return if insufficient > 0 {
                "Every window had fewer than 100 samples: nothing can be said; try a longer window.".to_owned()
            } else {
                "There was no profile in this time: nothing can be said.".to_owned()
            };
        }
        let worst = self.evaluations.iter().filter_map(Evaluation::percent).fold(0.0, f64::max);
        let figures = format!("{worst:.1} % of {of} at most, and the limit is {limit} %");
        let mut text = if fired > 0 {
            let times = if fired == 1 { "once".to_owned() } else { format!("{fired} times") };
            format!("Would have fired {times}, for {} min in all: {figures}.", firing.num_minutes())
        } else if self.count(Verdict::Over) > 0 {
            format!("Would not have fired: over the limit, but not for long enough: {figures}.")
        } else {
            format!("Would not have fired: {figures}.")
        };
        if insufficient > 0 {
            let _ = write!(text, " {insufficient} of {all} windows had fewer than 100 samples.");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_176_000 + minute * 60, 0).unwrap()
    }

    fn steps(from: i64, to: i64, now: DateTime<Utc>, window: i64) -> Steps {
        Steps::of(TimeWindow::new(at(from), at(to)).unwrap(), RuleWindow::try_from(window).unwrap(), now)
    }

    #[rstest]
    #[case::each_minute(0, 10, 300, (0, 60, 11))]
    #[case::each_fifth_of_the_window(0, 60, 3_600, (0, 720, 6))]
    #[case::as_many_as_are_made(0, 299, 300, (0, 60, 300))]
    #[case::a_multiple_of_it(0, 300, 300, (0, 120, 151))]
    #[case::a_day(0, 1_440, 300, (0, 300, 289))]
    #[case::a_week(0, 10_080, 300, (16, 2_040, 297))]
    fn a_window_has_at_most_300_steps(
        #[case] from: i64,
        #[case] to: i64,
        #[case] window: i64,
        #[case] (first, width, count): (i64, i64, usize),
    ) {
        let steps = steps(from, to, at(20_000), window);
        assert_eq!((steps.times().next(), steps.width().num_seconds()), (Some(at(first)), width));
        assert_eq!(steps.times().count(), count);
        assert_eq!(steps.times().last(), Some(at(to / (window / 300) * (window / 300))));
    }

    #[test]
    fn the_last_half_minute_is_not_looked_at() {
        let last = |now| steps(0, 60, now, 300).times().last();
        assert_eq!(last(at(10)), Some(at(9)));
        assert_eq!(last(at(10) + TimeDelta::seconds(30)), Some(at(10)));
        assert_eq!(last(at(0)), None);
        let half = TimeWindow::new(at(0) + TimeDelta::seconds(1), at(2)).unwrap();
        let steps = Steps::of(half, RuleWindow::default(), at(60));
        assert_eq!(steps.times().collect::<Vec<_>>(), [at(1), at(2)], "none before the window");
    }
}
