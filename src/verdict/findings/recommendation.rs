//! The texts of recommendations.

use std::fmt::Write as _;

use super::finding::{Finding, Judging};
use super::responsible::{CauseShare, Evidence, Locks, Responsible, Site};
use crate::kernel::ProfileType;
use crate::verdict::catalogue::Advice;
use crate::verdict::category::{Category, Runtime};
use crate::verdict::names::{short_name, with_file};

/// At most so many causes are told in a recommendation.
const CAUSES_TOLD: usize = 3;
/// A cause with less than this share of a finding, of 1, is not told there. A judgement.
const TELLING: f64 = 0.1;
/// The cause of what a collector does with processors that have no other work.
const SPARE_MARKING: &str = "gc_idle_mark";
/// Of a finding whose stacks begin in an event loop, a function with this share of it is named, percent. A judgement.
const WORTH_SAYING: f64 = 5.0;
/// A smaller share is 0 where it is written in whole percent.
const SHOWN: f64 = 0.5;

/// The advice with its place: the responsible frames, or else the callers of the heaviest function; then the heaviest
/// function, and what the ticks come from where the advice is not about that. A collector's own functions are no place:
/// what it does follows from who allocates.
pub(super) fn recommendation(
    advice: &Advice,
    kind: ProfileType,
    percent: f64,
    is_by_cause: bool,
    finding: &Finding,
    allocating: &[Responsible],
) -> String {
    let Finding { category, runtime, responsible, evidence, entry, sites, .. } = finding;
    let is_collector = *category == Category::GcPressure;
    if is_collector && responsible.is_empty() && allocating.is_empty() {
        let share = share_text(kind, finding.share.percent);
        return format!("The collector takes {share}. Its stacks do not show who allocates.")
            + &causes_text(finding, percent);
    }
    let heaviest = evidence.first().filter(|_| !is_collector);
    let place = match (heaviest, entry.as_ref().or(heaviest)) {
        _ if !responsible.is_empty() => places(responsible, "it"),
        _ if !allocating.is_empty() => places(allocating, "the allocator's time"),
        // What has no name has no callers to speak of either.
        (Some(heaviest), _) if *category == Category::Unresolved => located(heaviest),
        // Only the root of a thread leads there.
        (Some(_), _) if matches!(category, Category::ClassLoading | Category::Scheduling) => "the program".to_owned(),
        (Some(_), _) if *category == Category::JitOverhead => "the compiler's threads".to_owned(),
        // A promise is resolved by the event loop: few stacks begin in the code that waits for it.
        (Some(_), Some(entry)) if *runtime == Some(Runtime::Node) => waiting(sites.first(), entry),
        (Some(_), Some(entry)) => format!("the callers of {}", located(entry)),
        _ => "its callers".to_owned(),
    };
    let mut after = String::new();
    let is_named = |e: &&Evidence| responsible.iter().any(|r| r.function == e.function);
    if let Some(heaviest) = heaviest.filter(|e| !responsible.is_empty() && !is_named(e)) {
        let _ = write!(after, " The heaviest function of it is {}.", located(heaviest));
    }
    if !is_by_cause {
        after.push_str(&causes_text(finding, percent));
    }
    if !responsible.is_empty() && responsible.iter().all(|one| !one.is_own) && sites.is_empty() {
        after.push_str(" It is called from outside any code of your own.");
    }
    advice.recommend(&place, &share_text(kind, percent)) + &after
}

/// The code that waits for a promise: the application's function that is seen most, or what it waits for.
fn waiting(site: Option<&Site>, entry: &Evidence) -> String {
    if let Some(Site { function, file, percent, .. }) = site.filter(|site| site.percent >= WORTH_SAYING) {
        let shown = with_file((function, file.as_deref().unwrap_or("")));
        format!("{shown} ({percent:.0} % of it; the other stacks do not show who waits)")
    } else {
        let Evidence { function, percent } = entry;
        format!("the code that waits for {function} ({percent:.0} %; the stacks do not show which)")
    }
}

/// A function with its share.
fn located(Evidence { function, percent }: &Evidence) -> String {
    format!("{function} ({percent:.1} %)")
}

/// At most two responsible frames, with their shares.
fn places(responsible: &[Responsible], whole: &str) -> String {
    match responsible {
        [] => String::new(),
        [one] => format!("{} ({:.0} % of {whole})", one.shown, one.percent),
        [one, two, ..] => {
            format!("{} ({:.0} % of {whole}) and {} ({:.0} %)", one.shown, one.percent, two.shown, two.percent)
        }
    }
}

/// What the ticks of a finding with this share come from, the largest first; apart from them, what is reported and not
/// counted.
fn causes_text(finding: &Finding, whole: f64) -> String {
    let is_counted = |share: &&CauseShare| finding.uncounted_percent < SHOWN || &*share.cause.id != SPARE_MARKING;
    let is_telling = |share: &&CauseShare| share.percent >= (whole * TELLING).max(SHOWN);
    let telling = finding.causes.iter().filter(is_counted).filter(is_telling).take(CAUSES_TOLD);
    let told: Vec<_> = telling.map(|share| format!("{} {:.0} %", share.cause.phrase, share.percent)).collect();
    let mut text = if told.is_empty() { String::new() } else { format!(" Known parts of it: {}.", told.join(", ")) };
    if finding.category == Category::GcPressure && finding.uncounted_percent >= SHOWN {
        let percent = finding.uncounted_percent;
        let _ = write!(text, " Processors without other work mark for another {percent:.0} %, which delays nobody.");
    }
    text
}

/// A share of a kind of profile, in words.
fn share_text(kind: ProfileType, percent: f64) -> String {
    let whole = match kind {
        ProfileType::Cpu => "the CPU time",
        ProfileType::Wall => "the time",
        ProfileType::Alloc => "what is allocated",
        ProfileType::Inuse => "the memory in use",
        ProfileType::Lock => "the waiting",
        ProfileType::Goroutine => "the goroutines",
        ProfileType::Exception => "the exceptions",
        ProfileType::Samples => "the samples",
    };
    let digits = usize::from(percent < 1.0);
    format!("{percent:.digits$} % of {whole}")
}

/// Each lock with its share of the wait, where there are several.
pub(super) fn by_lock(locks: &Locks) -> String {
    let telling: Vec<_> = locks.named.iter().filter(|lock| lock.percent >= SHOWN).collect();
    if telling.len() < 2 {
        return String::new();
    }
    let more = locks.named.len() - telling.len() + locks.more;
    let named = telling.iter().map(|lock| format!("{} {:.0} %", short_name(&lock.function), lock.percent));
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!(" The wait by lock: {}{more}.", named.collect::<Vec<_>>().join(", "))
}

/// What a category means in that kind of profile, where it is not what a reader would think.
///
/// Points to other kinds only if the app sends them.
pub(super) fn caveat(kind: ProfileType, category: Category, runtime: Option<Runtime>, sent: &[ProfileType]) -> String {
    match (kind, category, runtime) {
        (ProfileType::Cpu, Category::LockContention | Category::ThreadWaiting, _) => {
            let waits = [ProfileType::Wall, ProfileType::Lock].into_iter().filter(|kind| sent.contains(kind));
            let types: Vec<_> = waits.map(|kind| format!("types={kind}")).collect();
            let mut text =
                " On a cpu profile this is the time spent entering, spinning and waking, not the wait itself"
                    .to_owned();
            if !types.is_empty() {
                let _ = write!(text, ": ask for {} to see that", types.join(" or "));
            }
            text + "."
        }
        (ProfileType::Lock, _, Some(Runtime::Go)) => {
            " Go's mutex stacks show who unlocked, that is who held the lock, not who waited.".to_owned()
        }
        _ => String::new(),
    }
}

/// What to do about an app that hardly uses the processor. `has_wall`: it sends wall profiles, and none was read.
pub(super) fn quiet_text(has_wall: bool) -> String {
    let see = if has_wall { " Ask for types=wall to see for what." } else { "" };
    format!("Nothing to do here: if the app is slow, it waits for something else than the processor.{see}")
}

pub(super) fn not_observable(category: Category, kind: ProfileType, runtime: Option<Runtime>) -> String {
    let of = runtime.map_or_else(String::new, |r| format!(" of {r}"));
    let what = category.as_str().replace('_', " ");
    format!("A {kind} profile{of} cannot show {what}: that none is seen here says nothing about it.")
}

pub(super) fn insufficient_text(judging: &Judging<'_>) -> String {
    if judging.cumulative {
        return "The values count since the process began and say nothing about this window: let the profiler send \
                differences."
            .to_owned();
    }
    if let Some(percent) = judging.quality_ticks().mostly_profiler() {
        return format!(
            "{percent:.0} % of the samples are the profiler's own work, too many for a verdict on the rest: sample less \
             often, or with a cheaper profiler."
        );
    }
    let samples = judging.samples.unwrap_or(0);
    format!("Only {samples} samples were seen, too few for a verdict: ask for a longer window.")
}

/// What to do about a program that is one function, or one frame of its own that most runs beneath.
pub(super) fn own_code_text(function: &str, heaviest: &str, percent: f64, callers: &[Responsible]) -> String {
    if function == heaviest {
        let from = callers.iter().find(|caller| caller.function != function);
        let from = from.map_or_else(String::new, |caller| format!(", called from {}", caller.shown));
        return format!("Look at the algorithm of {function}{from}: how often it is called, and with how much.");
    }
    format!(
        "Look at what {function} does; the heaviest function beneath it is {heaviest} ({percent:.1} %). No known pattern \
         explains it."
    )
}

/// A function with less than this share explains nothing, percent: the function that most comes from is named instead.
pub(super) const TELLS_SOMETHING: f64 = 2.0;

pub(super) fn fallback_text(
    kind: ProfileType,
    function: Option<&str>,
    percent: f64,
    responsible: &[Responsible],
) -> String {
    let Some(function) = function else {
        return "Nothing stands out.".to_owned();
    };
    if let Some(site) = responsible.first().filter(|_| percent < TELLS_SOMETHING) {
        return format!(
            "No known pattern stands out; {:.0} % of it comes from {}. Look at what that does.",
            site.percent, site.shown
        );
    }
    let from = match responsible.first() {
        Some(r) if r.function != function => format!(", called from {}", r.shown),
        _ => String::new(),
    };
    let advice = match kind {
        ProfileType::Cpu => "Look at its algorithm and at how often it is called.",
        ProfileType::Alloc => "Look at what it allocates per call and whether that can be kept or avoided.",
        ProfileType::Lock => "Look at what is held there and for how long.",
        ProfileType::Wall => "Look at what it does or waits for.",
        ProfileType::Inuse => "Look at what keeps its objects alive.",
        ProfileType::Goroutine => "Look at what its goroutines wait for and whether they end.",
        ProfileType::Samples => "Look at what it does and at how often it is called.",
        ProfileType::Exception => "Look at why it is thrown so often.",
    };
    format!("No known pattern stands out; the heaviest function is {function} ({percent:.1} %){from}. {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_responsible_frame_before_the_heaviest_function() {
        let responsible = Responsible {
            function: "com/example/Cart.toJson".into(),
            shown: "com/example/Cart.toJson".into(),
            percent: 91.2,
            total_percent: 40.0,
            path: vec!["Cart.toJson".into()],
            is_own: true,
        };
        let evidence = Evidence { function: "ObjectMapper.writeValue".into(), percent: 12.34 };
        let advice = Advice {
            recommendation: "It takes {percent}: write less in {place}.".into(),
            steps: std::sync::Arc::from([]),
        };
        let finding = |category, responsible: &[Responsible], evidence: &[Evidence]| Finding {
            responsible: responsible.to_vec(),
            evidence: evidence.to_vec(),
            ..Finding::not_observable(category, 10.0, None, String::new())
        };
        let say = |finding: &Finding| recommendation(&advice, ProfileType::Cpu, 12.4, false, finding, &[]);
        assert_eq!(
            say(&finding(Category::Logging, std::slice::from_ref(&responsible), std::slice::from_ref(&evidence))),
            "It takes 12 % of the CPU time: write less in com/example/Cart.toJson (91 % of it). The heaviest function of \
             it is ObjectMapper.writeValue (12.3 %)."
        );
        assert_eq!(
            say(&finding(Category::Logging, &[], std::slice::from_ref(&evidence))),
            "It takes 12 % of the CPU time: write less in the callers of ObjectMapper.writeValue (12.3 %)."
        );
        assert_eq!(
            say(&finding(Category::GcPressure, &[], &[evidence])),
            "The collector takes 0.0 % of the CPU time. Its stacks do not show who allocates."
        );
    }
}
