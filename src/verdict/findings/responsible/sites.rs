//! The application's frames on the stacks of a category, with file and line.

use super::{Path, ResponsibleSearch};
use crate::kernel::percent_of;
use crate::profile::{FunctionId, Profile};
use crate::verdict::claims::Claims;

/// At most so many are named.
const SITES: usize = 5;

/// A frame of the application on the stacks of a category.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// The function, as the source spells it.
    pub function: String,
    /// The share of the category's ticks beneath it, percent.
    pub percent: f64,
    /// Its file; absent where the profile has none.
    pub file: Option<String>,
    /// A line of it, as [`Profile::line`] has it.
    pub line: Option<u32>,
}

/// What is counted of each function of a profile: for the application's own, the ticks beneath it.
pub(super) struct SiteCounts {
    of_each: Vec<Option<SiteCount>>,
    path: u32,
}

#[derive(Clone, Copy, Default)]
struct SiteCount {
    ticks: i64,
    /// The last path it was counted on.
    path: u32,
    /// Its least distance from the claiming frame.
    nearest: u32,
}

impl SiteCounts {
    pub(super) fn new(profile: &Profile, claims: &Claims) -> Self {
        // What a rule claims is nearly always a library's, however its name is spelled.
        let is_site = |function| claims.is_first_party(function) && claims.flags(function).category().is_none();
        let count = |function| is_site(function).then(SiteCount::default);
        Self { of_each: profile.function_ids().map(count).collect(), path: 0 }
    }

    /// Whether the function may be a site: the application's own, and claimed by no rule.
    pub(super) fn may_be(&self, function: FunctionId) -> bool {
        self.of_each.get(function.index()).is_some_and(Option::is_some)
    }

    /// Counts the ticks of each path for the application's frames on it, each once: the frames that were met.
    fn add(&mut self, paths: &[Path<'_>]) -> Vec<FunctionId> {
        let mut met = Vec::new();
        for path in paths {
            self.path += 1;
            for (distance, frame) in (0..).zip(path.frames) {
                let Some(Some(count)) = self.of_each.get_mut(frame.index()) else { continue };
                if count.path == self.path {
                    continue;
                }
                if count.ticks == 0 {
                    met.push(*frame);
                    count.nearest = distance;
                }
                count.path = self.path;
                count.ticks += path.ticks;
                count.nearest = count.nearest.min(distance);
            }
        }
        met
    }

    /// What was counted of a function, which is forgotten.
    fn take(&mut self, function: FunctionId) -> (i64, u32) {
        let count = self.of_each.get_mut(function.index()).and_then(Option::as_mut).map(std::mem::take);
        count.map_or((0, 0), |count| (count.ticks, count.nearest))
    }
}

impl<'p> ResponsibleSearch<'p, '_> {
    /// The application's frames on most of the ticks, of equals the one nearest the claiming frame.
    pub(super) fn heaviest_sites(&mut self, paths: &[Path<'p>]) -> Vec<Site> {
        let whole: i64 = paths.iter().map(|path| path.ticks).sum();
        let met = self.site_counts.add(paths);
        let mut sites: Vec<_> = met.into_iter().map(|frame| (self.site_counts.take(frame), frame)).collect();
        let profile = self.profile;
        let order = |a: &((i64, u32), FunctionId), b: &((i64, u32), FunctionId)| {
            let ((ticks, nearest), (other_ticks, other_nearest)) = (a.0, b.0);
            let by_weight = other_ticks.cmp(&ticks).then(nearest.cmp(&other_nearest));
            by_weight.then_with(|| profile.function(a.1).cmp(&profile.function(b.1)))
        };
        if sites.len() > SITES {
            sites.select_nth_unstable_by(SITES, order);
            sites.truncate(SITES);
        }
        sites.sort_unstable_by(order);
        let site = |((ticks, _), frame)| {
            let (function, file) = profile.function(frame);
            Site {
                function: function.to_owned(),
                percent: percent_of(ticks, whole),
                file: Some(file.to_owned()).filter(|file| !file.is_empty()),
                line: profile.line(frame),
            }
        };
        sites.into_iter().map(site).collect()
    }
}
