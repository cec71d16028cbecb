//! Which apps run a function, and what share of theirs it takes.

use std::borrow::Cow;
use std::cmp::Ordering;

use hashbrown::HashMap;

use super::reduced::FleetApp;
use crate::kernel::percent_of;
use crate::profile::{FunctionTable, Profile, TextId};
use crate::verdict::names::key;

/// What is looked for in the names of functions, whatever their case: as it was typed, or as functions are joined, so
/// that `java.util.HashMap` is found where a profiler writes `java/util/HashMap`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needle {
    typed: String,
    joined: Option<String>,
}

impl Needle {
    /// Looks for a text.
    pub fn of(text: &str) -> Self {
        let joined = key(text).to_lowercase();
        let typed = text.to_lowercase();
        Self { joined: Some(joined).filter(|joined| !joined.is_empty() && *joined != typed), typed }
    }

    fn is_in(&self, name: &str, key: &str) -> bool {
        let key_says = |key: &str| {
            key.contains(&self.typed) || self.joined.as_ref().is_some_and(|joined| key.contains(joined.as_str()))
        };
        let name = lowercase(name);
        name.contains(&self.typed) || key_says(&lowercase(key))
    }
}

fn lowercase(text: &str) -> Cow<'_, str> {
    let lower = text.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase());
    if lower { Cow::Borrowed(text) } else { Cow::Owned(text.to_lowercase()) }
}

/// What one app has of what is looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct AppMatches {
    total: i64,
    /// The ticks of stacks that hold any match, once each.
    any: i64,
    low_samples: bool,
    rows: Vec<MatchedFunction>,
}

#[derive(Debug, Clone, PartialEq)]
struct MatchedFunction {
    function: String,
    self_ticks: i64,
    total_ticks: i64,
}

impl AppMatches {
    /// Looks through every function of a profile, wherever in a stack it stands.
    pub fn of(app: &FleetApp<'_>, needle: &Needle) -> Self {
        let mut matching = Matching::of(app.profile, needle);
        let (total, any) = matching.count(app.profile);
        let rows = matching.rows.into_iter().map(|row| MatchedFunction {
            function: row.spelling.map_or_else(String::new, |(_, name)| name.to_owned()),
            self_ticks: row.self_ticks,
            total_ticks: row.total_ticks,
        });
        let rows = if total > 0 { rows.collect() } else { Vec::new() };
        Self { total, any, low_samples: app.has_few_samples(), rows }
    }

    /// Whether the window has any data.
    pub fn has_data(&self) -> bool {
        self.total > 0
    }
}

/// The functions of a profile that match, each with all its spellings.
struct Matching<'p> {
    rows: Vec<Row<'p>>,
    /// By interned name.
    of_name: Vec<Option<u32>>,
    no_stack: Option<u32>,
}

#[derive(Default)]
struct Row<'p> {
    self_ticks: i64,
    total_ticks: i64,
    /// The heaviest spelling, and its own ticks.
    spelling: Option<(i64, &'p str)>,
    stamp: u32,
}

impl<'p> Matching<'p> {
    fn of(profile: &'p Profile, needle: &Needle) -> Self {
        let names = names_in_stacks(profile);
        let mut matched: HashMap<Cow<'p, str>, u32> = HashMap::new();
        let keys: Vec<_> = names.into_iter().map(|name| (name, key(profile.text(name)))).collect();
        let mut rows = Vec::new();
        let mut number = |key: &Cow<'p, str>| {
            *matched.entry(key.clone()).or_insert_with(|| {
                rows.push(Row::default());
                u32::try_from(rows.len() - 1).unwrap_or(u32::MAX)
            })
        };
        for (name, key) in &keys {
            if needle.is_in(profile.text(*name), key) {
                number(key);
            }
        }
        let unknown = FunctionTable::NO_STACK;
        let no_stack = needle.is_in(unknown, unknown) && profile.stacks().any(|stack| stack.frames.is_empty());
        let no_stack = no_stack.then(|| number(&Cow::Borrowed(unknown)));
        let mut of_name = vec![None; profile.text_count()];
        for (name, key) in &keys {
            if let Some(slot) = of_name.get_mut(name.index()) {
                *slot = matched.get(key).copied();
            }
        }
        Self { rows, of_name, no_stack }
    }

    /// Adds up ticks. Returns all of them, and those of stacks with any match.
    fn count(&mut self, profile: &'p Profile) -> (i64, i64) {
        let mut by_name = vec![0_i64; self.of_name.len()];
        let (mut total, mut any, mut stamp) = (0_i64, 0_i64, 0_u32);
        for stack in profile.stacks() {
            let ticks = stack.values.first().copied().unwrap_or(0);
            total = total.saturating_add(ticks);
            stamp += 1;
            let mut matches = false;
            let names = stack.frames.iter().filter_map(|frame| Some(profile.function_texts(*frame)?.name));
            for (depth, name) in names.enumerate() {
                let Some(place) = self.of_name.get(name.index()).copied().flatten() else { continue };
                matches = true;
                if depth == 0
                    && let Some(own) = by_name.get_mut(name.index())
                {
                    *own = own.saturating_add(ticks);
                }
                self.add(place, if depth == 0 { ticks } else { 0 }, ticks, stamp);
            }
            if let Some(place) = self.no_stack.filter(|_| stack.frames.is_empty()) {
                matches = true;
                self.add(place, ticks, ticks, stamp);
                self.spell(place, ticks, FunctionTable::NO_STACK);
            }
            if matches {
                any = any.saturating_add(ticks);
            }
        }
        for name in names_in_stacks(profile) {
            if let Some(place) = self.of_name.get(name.index()).copied().flatten() {
                let own = by_name.get(name.index()).copied().unwrap_or(0);
                self.spell(place, own, profile.text(name));
            }
        }
        (total, any)
    }

    fn add(&mut self, place: u32, self_ticks: i64, total_ticks: i64, stamp: u32) {
        let Some(row) = self.rows.get_mut(place as usize) else { return };
        row.self_ticks = row.self_ticks.saturating_add(self_ticks);
        if row.stamp != stamp {
            row.stamp = stamp;
            row.total_ticks = row.total_ticks.saturating_add(total_ticks);
        }
    }

    fn spell(&mut self, place: u32, own: i64, name: &'p str) {
        let Some(row) = self.rows.get_mut(place as usize) else { return };
        if row.spelling.is_none_or(|(ticks, spelling)| own > ticks || own == ticks && name < spelling) {
            row.spelling = Some((own, name));
        }
    }
}

/// Every name in a stack with a value, once.
fn names_in_stacks(profile: &Profile) -> Vec<TextId> {
    let mut seen = vec![false; profile.text_count()];
    let mut names = Vec::new();
    for stack in profile.stacks().filter(|stack| stack.values.first().is_some_and(|ticks| *ticks != 0)) {
        for name in stack.frames.iter().filter_map(|frame| Some(profile.function_texts(*frame)?.name)) {
            if seen.get_mut(name.index()).is_some_and(|seen| !std::mem::replace(seen, true)) {
                names.push(name);
            }
        }
    }
    names
}

/// A function of an app that matches.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The app's place in the list of apps.
    pub app: usize,
    /// The function, as the app's profile spells it; of several spellings the heaviest.
    pub function: String,
    /// The ticks of stacks that end in it.
    pub self_ticks: i64,
    /// Their share of the app's ticks, percent.
    pub self_percent: f64,
    /// The share of stacks that contain it, each once, percent.
    pub total_percent: f64,
    /// The share of stacks that contain any match of the app, each once, percent.
    pub app_percent: f64,
    /// Whether there are too few samples for the shares to mean much.
    pub low_samples: bool,
}

impl Match {
    fn rank(&self, other: &Self) -> Ordering {
        let by_share = other.self_percent.total_cmp(&self.self_percent);
        let by_share = by_share.then(other.total_percent.total_cmp(&self.total_percent));
        by_share.then(self.app.cmp(&other.app)).then_with(|| self.function.cmp(&other.function))
    }
}

/// The matches of all apps, added as they arrive. At most twice as many are kept as will be shown.
#[derive(Debug)]
pub struct Matches {
    limit: usize,
    count: usize,
    rows: Vec<Match>,
}

impl Matches {
    /// None yet; at most `limit` are to be shown.
    pub fn up_to(limit: usize) -> Self {
        Self { limit, count: 0, rows: Vec::new() }
    }

    /// Adds an app by its place in the list of apps.
    pub fn add(&mut self, app: usize, of: AppMatches) {
        let AppMatches { total, any, low_samples, rows } = of;
        let percent = |ticks: i64| percent_of(ticks, total);
        self.count += rows.len();
        self.rows.extend(rows.into_iter().map(|row| Match {
            app,
            self_ticks: row.self_ticks,
            self_percent: percent(row.self_ticks),
            total_percent: percent(row.total_ticks),
            app_percent: percent(any),
            low_samples,
            function: row.function,
        }));
        if self.rows.len() > self.limit.saturating_mul(2) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.rows.len() > self.limit {
            self.rows.select_nth_unstable_by(self.limit, Match::rank);
            self.rows.truncate(self.limit);
        }
    }

    /// How many there are, and the first of them: by self share descending, then by the share of stacks they stand in,
    /// then by app and name.
    pub fn ranked(mut self) -> (usize, Vec<Match>) {
        self.cut();
        self.rows.sort_unstable_by(Match::rank);
        (self.count, self.rows)
    }
}
