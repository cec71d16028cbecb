//! A profile, judged: its findings and the diagnosis.

use super::diagnosis::{self, Diagnosis};
use super::finding::{Finding, Judging, Subject};
use super::no_data::NoData;
use super::rate::{Rate, RateOver};
use super::responsible::{Responsible, ResponsibleSearch};
use super::tally::Tally;
use crate::kernel::{ProfileType, percent_of};
use crate::profile::{Profile, SampleType};
use crate::verdict::catalogue::Rules;
use crate::verdict::category::Category;
use crate::verdict::claims::Claims;
use crate::verdict::reliability::{self, Confidence, QualityNote, SourceFacts, estimated_samples};

/// One function of the heaviest.
#[derive(Debug, Clone, PartialEq)]
pub struct TopFunction {
    /// The function, as the source spells it.
    pub name: String,
    /// Its self ticks.
    pub self_ticks: i64,
    /// Their share of all ticks, percent.
    pub self_percent: f64,
}

/// A profile, judged.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileAssessment {
    /// The kind of profile.
    pub kind: ProfileType,
    /// What its ticks count; absent where the app has no profile of this kind.
    pub sample_type: Option<SampleType>,
    /// What is the matter.
    pub diagnosis: Diagnosis,
    /// All ticks.
    pub total: i64,
    /// The ticks that shares of findings are of.
    pub active: i64,
    /// Idle ticks.
    pub idle: i64,
    /// Events seen, where that is known.
    pub sample_count: Option<u64>,
    /// How far they carry; absent where their number is unknown.
    pub confidence: Option<Confidence>,
    /// What the ticks amount to per second, where the window is known.
    pub rate: Option<Rate>,
    /// What the rate is an average over.
    pub rate_over: Option<RateOver>,
    /// cpu: it hardly uses the processor, so that no share matters.
    pub is_quiet: bool,
    /// One per category from 1 %, by share; then those that this kind of profile cannot show.
    pub findings: Vec<Finding>,
    /// The heaviest functions by self, without those that are idle or the profiler's own.
    pub top_functions: Vec<TopFunction>,
    /// alloc: the functions of the application that allocate most, at most two, with their share of all allocation.
    pub allocators: Vec<Responsible>,
    /// What is wrong with the data.
    pub quality: Vec<QualityNote>,
    /// The kinds of profile that the app sends; empty where that is not known.
    pub kinds: Vec<ProfileType>,
    /// What is known of why there is no data, if there is none.
    pub no_data: Option<NoData>,
}

impl ProfileAssessment {
    /// Judges a profile.
    pub fn of(rules: &Rules, subject: &Subject<'_>) -> Self {
        let &Subject { kind, profile, sample_type, .. } = subject;
        let empty = || Self::without_data(kind, profile.sample_types().get(sample_type).cloned(), &subject.facts);
        if profile.stack_count() == 0 {
            return empty();
        }
        let claims = Claims::of(rules, profile, kind);
        let tally = Tally::of(profile, sample_type, kind, rules, &claims);
        if tally.total <= 0 {
            return empty();
        }
        let sample_count = subject.facts.sample_count.or(subject.facts.contentions);
        let sample_count = sample_count.or_else(|| estimated_samples(kind, profile, sample_type));
        let judging = Judging::new(rules, subject, &tally, sample_count, claims.native_frames());
        let mut search = ResponsibleSearch::new(rules, profile, &claims, &tally, kind);
        let findings = judging.findings(&mut search);
        let (findings, diagnosis) = diagnosis::decide(&judging, findings, &mut search);
        let allocators = if kind == ProfileType::Alloc { search.sites() } else { Vec::new() };
        Self {
            kind,
            sample_type: profile.sample_types().get(sample_type).cloned(),
            diagnosis,
            total: tally.total,
            active: tally.active,
            idle: tally.idle,
            sample_count,
            confidence: sample_count.map(Confidence::of),
            rate: judging.rate,
            rate_over: judging.rate_over,
            is_quiet: judging.is_quiet(),
            findings,
            top_functions: top_functions(profile, &tally, subject.top),
            allocators,
            quality: quality(subject, &judging, sample_count),
            kinds: subject.facts.kinds.to_vec(),
            no_data: None,
        }
    }

    pub(super) fn without_data(kind: ProfileType, sample_type: Option<SampleType>, facts: &SourceFacts<'_>) -> Self {
        let no_data = NoData::of(facts);
        Self {
            kind,
            sample_type,
            diagnosis: Diagnosis::no_data(&no_data),
            total: 0,
            active: 0,
            idle: 0,
            sample_count: None,
            confidence: None,
            rate: None,
            rate_over: None,
            is_quiet: false,
            findings: Vec::new(),
            top_functions: Vec::new(),
            allocators: Vec::new(),
            quality: reliability::notes_without_data(facts),
            kinds: facts.kinds.to_vec(),
            no_data: Some(no_data),
        }
    }

    /// Whether the window has any data.
    pub fn has_data(&self) -> bool {
        self.total > 0
    }

    /// The share of the ticks that is active, percent; absent without data.
    pub fn active_percent(&self) -> Option<f64> {
        self.has_data().then(|| percent_of(self.active, self.total))
    }

    /// The share of the ticks that is idle, percent; absent without data.
    pub fn idle_percent(&self) -> Option<f64> {
        self.has_data().then(|| percent_of(self.idle, self.total))
    }

    /// The finding of a category.
    pub fn finding(&self, category: Category) -> Option<&Finding> {
        self.findings.iter().find(|f| f.category == category)
    }
}

/// What is wrong with the data of a profile that has any.
fn quality(subject: &Subject<'_>, judging: &Judging<'_>, sample_count: Option<u64>) -> Vec<QualityNote> {
    let mut notes = reliability::notes(&subject.facts, judging.quality_ticks(), sample_count);
    notes.extend(reliability::note_on_kind(subject.kind, subject.profile.sample_types().get(subject.sample_type)));
    notes
}

/// The heaviest functions by self, ties by name; a function whose self ticks are mostly idle or the profiler's own is
/// left out.
fn top_functions(profile: &Profile, tally: &Tally, limit: usize) -> Vec<TopFunction> {
    let shown = tally.leaves.iter().filter(|leaf| leaf.own > 0 && leaf.hidden.saturating_mul(2) <= leaf.own);
    let mut rows: Vec<_> = shown.map(|leaf| (leaf.own, profile.text(leaf.name))).collect();
    let order = |a: &(i64, &str), b: &(i64, &str)| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1));
    if limit > 0 && rows.len() > limit {
        rows.select_nth_unstable_by(limit, order);
        rows.truncate(limit);
    }
    rows.sort_unstable_by(order);
    let percent = |ticks: i64| percent_of(ticks, tally.total);
    rows.into_iter()
        .map(|(ticks, name)| TopFunction { name: name.to_owned(), self_ticks: ticks, self_percent: percent(ticks) })
        .collect()
}
