//! What is wrong with the data: a code and a sentence each. A check that cannot be made is left out.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::confidence::Confidence;
use crate::kernel::{NoDataReason, ProfileType, percent_of};
use crate::profile::SampleType;
use crate::verdict::events::Event;

/// A share of unresolved ticks above this is worth a word, percent.
const UNRESOLVED_ABOVE: f64 = 30.0;
/// A share of ticks in broken stacks above this is worth a word, percent. A judgement.
const BROKEN_ABOVE: f64 = 10.0;
/// A share of active ticks below this is a program without work, percent.
pub(in crate::verdict) const MOSTLY_IDLE_BELOW: f64 = 5.0;
/// A profiler with more than this share of the ticks that are not idle disturbs what it measures too much to say anything
/// of the rest, percent. A judgement.
const MOSTLY_PROFILER_ABOVE: f64 = 50.0;
/// Fewer than this share of a window's minutes with profiles is partial, percent.
const COVERED_BELOW: f64 = 80.0;
/// Windows are not alike whose coverage differs by more than this, percent.
const COVERAGE_DIFFERS_ABOVE: f64 = 20.0;

/// What a source knows of a merged profile beside its stacks. What it cannot know is absent.
#[derive(Debug, Clone, Default)]
pub struct SourceFacts<'a> {
    /// Events seen, by the source's own count.
    pub sample_count: Option<u64>,
    /// The same by the companion counter of a lock profile.
    pub contentions: Option<u64>,
    /// Ticks that a truncating source folded away.
    pub truncated_ticks: i64,
    /// Minutes of the window with profiles, and minutes passed.
    pub coverage: Option<(u32, u32)>,
    /// The kinds of profile that the app sends. Empty: not known.
    pub kinds: &'a [ProfileType],
    /// Why there is no data, if there is none.
    pub no_data: Option<NoDataReason>,
    /// When the last profile came, if there is no data.
    pub last_profile_at: Option<DateTime<Utc>>,
    /// Values of labels that tell populations apart.
    pub populations: Vec<LabelValue<'a>>,
    /// Profilers that pushed this kind.
    pub profilers: Vec<LabelValue<'a>>,
    /// The values never fall: they say nothing about the window.
    pub cumulative: bool,
    /// Label sets were collapsed because there were too many.
    pub labels_collapsed: bool,
}

/// One value of a label and the ticks that carry it, where the source can tell.
#[derive(Debug, Clone, Copy)]
pub struct LabelValue<'a> {
    /// The label.
    pub label: &'a str,
    /// The value.
    pub value: &'a str,
    /// Ticks with that value.
    pub ticks: Option<i64>,
}

/// A code of a weakness of the data. New ones may be added, none is renamed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum QualityCode {
    /// Under 100 samples.
    FewSamples,
    /// Over 30 % of the ticks are in code without a name.
    Unresolved,
    /// The source folded small stacks away.
    Truncated,
    /// Under 5 % of the ticks are active.
    MostlyIdle,
    /// Over half of the ticks that are not idle are the profiler's own.
    MostlyProfiler,
    /// Over 10 % of the ticks have a stack that could not be walked.
    BrokenStacks,
    /// Several environments or clusters under one name.
    MixedPopulation,
    /// Several profilers push the same kind.
    SeveralProfilers,
    /// Values count since the process began, not within the window.
    CumulativeProfile,
    /// Profiles in under 80 % of the window's minutes.
    PartialCoverage,
    /// Too many label sets in an hour: a selector may miss data.
    LabelsCollapsed,
    /// The values carry no unit, and do not look like numbers of samples.
    NoUnit,
    /// Nothing says what the values count: they are judged as samples, not as CPU time.
    UnknownKind,
    /// The values count events, neither CPU time nor elapsed time.
    CountsEvents,
    /// Of two windows: less than half of the work changed alike.
    CompositionChanged,
}

/// A weakness of the data, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct QualityNote {
    /// The code.
    pub code: QualityCode,
    /// The sentence.
    pub detail: String,
}

/// The ticks that the checks look at.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::verdict) struct QualityTicks {
    pub(in crate::verdict) total: i64,
    pub(in crate::verdict) active: i64,
    /// Claimed by the profiler itself, which is not active.
    pub(in crate::verdict) profiler: i64,
    pub(in crate::verdict) unresolved: i64,
    pub(in crate::verdict) broken: i64,
    pub(in crate::verdict) has_unit: bool,
}

impl QualityTicks {
    /// The profiler's share of the ticks that are not idle, percent, where it is most of them.
    pub(in crate::verdict) fn mostly_profiler(self) -> Option<f64> {
        let percent = percent_of(self.profiler, self.active + self.profiler);
        (percent > MOSTLY_PROFILER_ABOVE).then_some(percent)
    }
}

/// All weaknesses of a profile with data, in the order of the codes.
pub(in crate::verdict) fn notes(
    facts: &SourceFacts<'_>,
    ticks: QualityTicks,
    samples: Option<u64>,
) -> Vec<QualityNote> {
    let share = |part: i64| percent_of(part, ticks.total);
    let mut notes = Vec::new();
    let mut note = |code, detail| notes.push(QualityNote { code, detail });
    if let Some(samples) = samples.filter(|n| *n < 100) {
        let reach = if Confidence::of(samples) == Confidence::Insufficient {
            "nothing can be said"
        } else {
            "no severity goes above low"
        };
        note(QualityCode::FewSamples, format!("{samples} samples were seen; {reach}: ask for a longer window"));
    }
    if share(ticks.unresolved) > UNRESOLVED_ABOVE {
        let percent = share(ticks.unresolved);
        note(
            QualityCode::Unresolved,
            format!(
                "{percent:.0} % of the ticks lie in code without a name: install debug symbols or enable symbolisation"
            ),
        );
    }
    if facts.truncated_ticks > 0 {
        let percent = share(facts.truncated_ticks);
        note(
            QualityCode::Truncated,
            format!("the source folded {percent:.1} % of the ticks into \"other\": small functions are missing"),
        );
    }
    if share(ticks.active) < MOSTLY_IDLE_BELOW {
        let percent = share(ticks.active);
        note(
            QualityCode::MostlyIdle,
            format!("{percent:.1} % of the ticks are active: the program hardly ran, and every share is of little"),
        );
    }
    if let Some(percent) = ticks.mostly_profiler() {
        note(
            QualityCode::MostlyProfiler,
            format!("{percent:.0} % of the ticks are the profiler's own: the rest says little of the program at work"),
        );
    }
    if share(ticks.broken) > BROKEN_ABOVE {
        let percent = share(ticks.broken);
        note(
            QualityCode::BrokenStacks,
            format!("{percent:.0} % of the ticks have a stack that the profiler could not walk: callers are missing"),
        );
    }
    source_notes(facts, &mut note);
    if !ticks.has_unit && samples.is_none() {
        note(QualityCode::NoUnit, "values carry no unit: how many samples they are is not known".to_owned());
    }
    notes
}

/// What must be known of a profile whose values are neither time nor bytes, or of which nothing says what they are.
pub(in crate::verdict) fn note_on_kind(kind: ProfileType, sample_type: Option<&SampleType>) -> Option<QualityNote> {
    if let Some(event) = Event::of(kind, sample_type.map_or(&[], std::slice::from_ref)) {
        let events = event.plural();
        let detail =
            format!("the values count {events}, neither CPU time nor elapsed time: every share is one of {events}");
        return Some(QualityNote { code: QualityCode::CountsEvents, detail });
    }
    let sample_type = sample_type.filter(|_| kind == ProfileType::Samples)?;
    let detail = format!(
        "the kind of profile is unknown, its sample type is {:?}: it is judged as samples, not as CPU time",
        sample_type.name
    );
    Some(QualityNote { code: QualityCode::UnknownKind, detail })
}

/// The weaknesses of a window without data.
pub(in crate::verdict) fn notes_without_data(facts: &SourceFacts<'_>) -> Vec<QualityNote> {
    let mut notes = Vec::new();
    source_notes(facts, &mut |code, detail| notes.push(QualityNote { code, detail }));
    notes
}

/// The weaknesses of two windows that are compared, each named with its window; baseline first.
pub(in crate::verdict) fn compared_notes(
    facts: [&SourceFacts<'_>; 2],
    totals: [i64; 2],
    samples: [Option<u64>; 2],
) -> Vec<QualityNote> {
    let mut notes = Vec::new();
    for (((facts, total), samples), window) in facts.into_iter().zip(totals).zip(samples).zip(["baseline", "current"]) {
        // Of these windows only what the source knows and the counts are looked at.
        let ticks = QualityTicks { total, active: total, profiler: 0, unresolved: 0, broken: 0, has_unit: true };
        let of_window = if total > 0 { self::notes(facts, ticks, samples) } else { notes_without_data(facts) };
        notes.extend(
            of_window
                .into_iter()
                .map(|QualityNote { code, detail }| QualityNote { code, detail: format!("{window} window: {detail}") }),
        );
    }
    let covered = facts.map(|facts| facts.coverage.filter(|(_, minutes)| *minutes > 0));
    if let [Some((with_before, before)), Some((with_now, now))] = covered {
        let share = |with_data: u32, minutes: u32| f64::from(with_data) * 100.0 / f64::from(minutes);
        let (share_before, share_now) = (share(with_before, before), share(with_now, now));
        if (share_before - share_now).abs() > COVERAGE_DIFFERS_ABOVE {
            notes.push(QualityNote {
                code: QualityCode::PartialCoverage,
                detail: format!(
                    "profiles came in {share_before:.0} % of the baseline window's minutes and in {share_now:.0} % of \
                     the current one's: they may not be alike"
                ),
            });
        }
    }
    notes
}

/// The weaknesses that show without a stack, too.
fn source_notes(facts: &SourceFacts<'_>, note: &mut impl FnMut(QualityCode, String)) {
    if !facts.populations.is_empty() {
        let list = listed(&facts.populations);
        note(QualityCode::MixedPopulation, format!("the window mixes {list}: narrow it with a selector"));
    }
    if !facts.profilers.is_empty() {
        let list = listed(&facts.profilers);
        note(
            QualityCode::SeveralProfilers,
            format!("several profilers push this app: {list}; the one with most ticks is used"),
        );
    }
    if facts.cumulative {
        note(
            QualityCode::CumulativeProfile,
            "the values count since the process began, not within the window: no verdict".to_owned(),
        );
    }
    if let Some((with_data, minutes)) = facts.coverage
        && f64::from(with_data) * 100.0 < COVERED_BELOW * f64::from(minutes)
    {
        note(
            QualityCode::PartialCoverage,
            format!("profiles came in {with_data} of {minutes} minutes: the rest of the window is unknown"),
        );
    }
    if facts.labels_collapsed {
        note(
            QualityCode::LabelsCollapsed,
            "the app sent too many label sets in an hour; they were collapsed, and a selector may miss data".to_owned(),
        );
    }
}

/// `env="prod" 80 %, env="staging" 20 %`: in the source's order, at most five.
fn listed(values: &[LabelValue<'_>]) -> String {
    let sum_of = |label: &str| {
        let of_label = values.iter().filter(|v| v.label == label);
        of_label.map(|v| v.ticks).try_fold(0_i64, |sum, ticks| Some(sum.saturating_add(ticks?))).filter(|sum| *sum > 0)
    };
    let one = |v: &LabelValue<'_>| match (v.ticks, sum_of(v.label)) {
        (Some(ticks), Some(sum)) => format!("{}={:?} {:.0} %", v.label, v.value, percent_of(ticks, sum)),
        _ => format!("{}={:?}", v.label, v.value),
    };
    let mut list = values.iter().take(5).map(one).collect::<Vec<_>>().join(", ");
    if let Some(more) = values.len().checked_sub(5).filter(|n| *n > 0) {
        let _ = write!(list, " and {more} more");
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const FINE: QualityTicks =
        QualityTicks { total: 100, active: 100, profiler: 0, unresolved: 0, broken: 0, has_unit: true };

    fn codes(facts: &SourceFacts<'_>, ticks: QualityTicks, samples: Option<u64>) -> Vec<QualityCode> {
        notes(facts, ticks, samples).iter().map(|n| n.code).collect()
    }

    #[test]
    fn says_nothing_of_data_without_a_weakness() {
        let facts = SourceFacts { coverage: Some((48, 60)), ..SourceFacts::default() };
        assert_eq!(codes(&facts, FINE, Some(100)), []);
        assert_eq!(codes(&SourceFacts::default(), FINE, None), []);
    }

    #[rstest]
    #[case::few(SourceFacts::default(), FINE, Some(99), QualityCode::FewSamples)]
    #[case::unresolved(SourceFacts::default(), QualityTicks { unresolved: 31, ..FINE }, None, QualityCode::Unresolved)]
    #[case::truncated(SourceFacts { truncated_ticks: 1, ..SourceFacts::default() }, FINE, None, QualityCode::Truncated)]
    #[case::idle(SourceFacts::default(), QualityTicks { active: 4, ..FINE }, None, QualityCode::MostlyIdle)]
    #[case::profiler(SourceFacts::default(), QualityTicks { active: 40, profiler: 41, ..FINE }, None, QualityCode::MostlyProfiler)]
    #[case::broken(SourceFacts::default(), QualityTicks { broken: 11, ..FINE }, None, QualityCode::BrokenStacks)]
    #[case::cumulative(SourceFacts { cumulative: true, ..SourceFacts::default() }, FINE, None, QualityCode::CumulativeProfile)]
    #[case::partial(SourceFacts { coverage: Some((47, 60)), ..SourceFacts::default() }, FINE, None, QualityCode::PartialCoverage)]
    #[case::collapsed(SourceFacts { labels_collapsed: true, ..SourceFacts::default() }, FINE, None, QualityCode::LabelsCollapsed)]
    fn names_each_weakness(
        #[case] facts: SourceFacts<'_>,
        #[case] ticks: QualityTicks,
        #[case] samples: Option<u64>,
        #[case] code: QualityCode,
    ) {
        assert_eq!(codes(&facts, ticks, samples), [code]);
    }

    #[rstest]
    #[case::unknown(
        ProfileType::Samples,
        "foo",
        Some(QualityCode::UnknownKind),
        "the kind of profile is unknown, its sample type is \"foo\": it is judged as samples, not as CPU time"
    )]
    #[case::page_faults(
        ProfileType::Samples,
        "page-faults",
        Some(QualityCode::CountsEvents),
        "the values count page faults, neither CPU time nor elapsed time: every share is one of page faults"
    )]
    #[case::exceptions(
        ProfileType::Exception,
        "exception",
        Some(QualityCode::CountsEvents),
        "the values count exceptions, neither CPU time nor elapsed time: every share is one of exceptions"
    )]
    #[case::known(ProfileType::Cpu, "cpu", None, "")]
    fn says_what_values_count_that_are_neither_time_nor_bytes(
        #[case] kind: ProfileType,
        #[case] sample_type: &str,
        #[case] code: Option<QualityCode>,
        #[case] detail: &str,
    ) {
        let note = note_on_kind(kind, Some(&SampleType::new(sample_type, "count")));
        assert_eq!(note.as_ref().map(|note| note.code), code);
        assert_eq!(note.map_or(String::new(), |note| note.detail), detail);
    }

    #[test]
    fn lists_populations_with_their_shares() {
        let env = |value, ticks| LabelValue { label: "env", value, ticks };
        let facts = SourceFacts {
            populations: vec![env("prod", Some(80)), env("staging", Some(20))],
            ..SourceFacts::default()
        };
        let detail = notes(&facts, FINE, None).remove(0).detail;
        assert_eq!(detail, "the window mixes env=\"prod\" 80 %, env=\"staging\" 20 %: narrow it with a selector");
        let facts = SourceFacts { profilers: vec![env("a", None), env("b", Some(1))], ..SourceFacts::default() };
        assert!(notes(&facts, FINE, None).remove(0).detail.contains("env=\"a\", env=\"b\";"));
    }
}
