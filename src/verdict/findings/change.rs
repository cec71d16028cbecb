//! Whether what is seen now is usual: an assessment compared with that of the same window a day or a week earlier.

use std::fmt::Write as _;

use super::assessment::ProfileAssessment;
use super::diagnosis::Ground;
use super::finding::Finding;
use super::headline::{cores_text, figure};
use super::rate::Rate;
use crate::verdict::category::Category;
use crate::verdict::reliability::{BUNCHING, Share};

/// A share, or an amount of cores, within this part of what it was is usual. A judgement.
const USUAL_WITHIN: f64 = 0.2;
/// A difference above this many standard errors is no chance.
const BEYOND_CHANCE: f64 = 3.0;

/// How a category's share compares with an earlier window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Within a fifth of what it was.
    Usual,
    /// More than then, beyond chance.
    Grown,
    /// Less than then, beyond chance.
    Shrunk,
    /// It was under 1 % then, and is more now, beyond chance.
    New,
    /// Too few samples, now or then, to tell, or nothing is known of then.
    Unknown,
}

/// What a category was in the earlier window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Was {
    /// Its share of the active ticks.
    pub share: Share,
    /// Processor cores it took, in a cpu profile of a known window.
    pub cores: Option<f64>,
}

/// How a finding compares with the assessment of an earlier window, and what it was then. `None`: nothing is known of
/// then.
pub fn change(now: &ProfileAssessment, finding: &Finding, then: Option<&ProfileAssessment>) -> (Change, Option<Was>) {
    let Some(then) = then.filter(|then| then.has_data()) else { return (Change::Unknown, None) };
    let before = then.finding(finding.category).filter(|before| before.observable);
    let was = before.map(|before| Was { share: before.share, cores: before.cores });
    let percent_then = was.map_or(0.0, |was| was.share.percent);
    let percent = finding.share.percent;
    if was.is_some() && (percent - percent_then).abs() <= percent_then * USUAL_WITHIN {
        return (Change::Usual, was);
    }
    let change = match (is_chance([percent_then, percent], [then.sample_count, now.sample_count]), was) {
        (true, _) => Change::Unknown,
        (false, None) => Change::New,
        (false, Some(_)) if percent > percent_then => Change::Grown,
        (false, Some(_)) => Change::Shrunk,
    };
    (change, was)
}

/// Whether two shares in percent of that many samples may differ by chance; so they may where the number is not known.
fn is_chance([then, now]: [f64; 2], samples: [Option<u64>; 2]) -> bool {
    let [Some(before), Some(after)] = samples.map(|n| n.filter(|n| *n > 0)) else { return true };
    let (before, after) = (before as f64, after as f64);
    let pooled = (then * before + now * after) / (before + after) / 100.0;
    let error = (BUNCHING * pooled * (1.0 - pooled) * (1.0 / before + 1.0 / after)).sqrt() * 100.0;
    (now - then).abs() <= BEYOND_CHANCE * error
}

/// The categories that were listed then and are not now, beyond chance, with their share then.
pub fn gone(now: &ProfileAssessment, then: &ProfileAssessment) -> Vec<(Category, Share)> {
    let is_gone = |before: &&Finding| {
        before.observable
            && now.finding(before.category).is_none_or(|finding| !finding.observable)
            && !is_chance([before.share.percent, 0.0], [then.sample_count, now.sample_count])
    };
    then.findings.iter().filter(is_gone).map(|before| (before.category, before.share)).collect()
}

/// The sentence about an assessment and that of an earlier window, `when`: "yesterday at this hour". `None` where there
/// is nothing to say.
pub fn compared_sentence(now: &ProfileAssessment, then: Option<&ProfileAssessment>, when: &str) -> Option<String> {
    if !now.has_data() {
        return None;
    }
    let Some(then) = then.filter(|then| then.has_data()) else {
        return Some(format!(" What is usual is not known: there is no such profile of {when}."));
    };
    let changes: Vec<_> = now.findings.iter().filter(|f| f.observable).map(|f| change(now, f, Some(then)).0).collect();
    let cores = |of: &ProfileAssessment| if let Some(Rate::Cores(cores)) = of.rate { Some(cores) } else { None };
    let same_cores = cores(now).zip(cores(then)).is_none_or(|(now, then)| (now - then).abs() <= then * USUAL_WITHIN);
    if !changes.is_empty() && changes.iter().all(|change| *change == Change::Usual) && same_cores {
        return Some(format!(" Nothing here differs from {when}; look elsewhere."));
    }
    let mut text = String::new();
    if let Ground::Finding(category) = now.diagnosis.ground
        && let Some(finding) = now.finding(category)
    {
        let (change, was) = change(now, finding, Some(then));
        let was = figure(was.map_or(0.0, |was| was.share.percent));
        let _ = match change {
            Change::Usual => write!(text, " That is as {when}."),
            Change::New => write!(text, " That is new: it was under 1 % {when}."),
            Change::Grown => write!(text, " That has grown: it was {was} % {when}."),
            Change::Shrunk => write!(text, " That has shrunk: it was {was} % {when}."),
            Change::Unknown => write!(text, " Whether that is usual cannot be told: it was {was} % {when}."),
        };
    }
    if let Some((_, before)) = cores(now).zip(cores(then)).filter(|_| !same_cores) {
        let _ = write!(text, " It used {} {when}.", cores_text(before));
    }
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::many([30.0, 40.0], [Some(10_000), Some(10_000)], false)]
    #[case::few([30.0, 40.0], [Some(100), Some(100)], true)]
    #[case::few_then([0.0, 10.0], [Some(30), Some(10_000)], true)]
    #[case::not_known([30.0, 90.0], [None, Some(10_000)], true)]
    #[case::no_samples([0.0, 90.0], [Some(0), Some(10_000)], true)]
    #[case::equal([30.0, 30.0], [Some(10_000), Some(10_000)], true)]
    fn tells_differences_from_chance(
        #[case] shares: [f64; 2],
        #[case] samples: [Option<u64>; 2],
        #[case] chance: bool,
    ) {
        assert_eq!(is_chance(shares, samples), chance);
    }
}
