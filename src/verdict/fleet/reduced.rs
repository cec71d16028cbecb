//! One app's profile, reduced to its functions.

use std::borrow::Cow;

use hashbrown::HashMap;

use crate::kernel::ProfileType;
use crate::profile::{FunctionTable, Profile, TextId};
use crate::verdict::catalogue::Rules;
use crate::verdict::category::{Category, Origin};
use crate::verdict::claims::Claims;
use crate::verdict::names::key;
use crate::verdict::reliability::{SourceFacts, estimated_samples, nanoseconds_per_tick};

/// Apps with fewer samples are counted, but their shares are not used.
const FEW_SAMPLES: u64 = 100;

/// One app of a fleet: its profile, under its first sample type, and what is known beside.
#[derive(Debug, Clone)]
pub struct FleetApp<'a> {
    /// The kind of profile.
    pub kind: ProfileType,
    /// The profile.
    pub profile: &'a Profile,
    /// What the source knows beside the stacks.
    pub facts: SourceFacts<'a>,
}

impl FleetApp<'_> {
    /// Whether there are too few samples for the shares to mean much.
    pub(super) fn has_few_samples(&self) -> bool {
        let counted = self.facts.sample_count.or(self.facts.contentions);
        let samples = counted.or_else(|| estimated_samples(self.kind, self.profile, 0));
        samples.is_some_and(|samples| samples < FEW_SAMPLES)
    }

    /// cpu: nanoseconds in one tick, where ticks are time.
    fn nanoseconds(&self) -> Option<i64> {
        let unit = self.profile.sample_types().first().filter(|_| self.kind == ProfileType::Cpu)?;
        nanoseconds_per_tick(&unit.unit).and_then(|ns| i64::try_from(ns).ok())
    }
}

/// One function of an app, all its spellings together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AppFunction {
    pub(super) key: Box<str>,
    /// The heaviest spelling; `None` where it is the key.
    pub(super) spelling: Option<Box<str>>,
    /// The ticks of stacks that end in it.
    pub(super) ticks: i64,
    /// What most of these ticks are claimed as.
    pub(super) category: Option<Category>,
    pub(super) origin: Origin,
}

/// The functions that an app's stacks end in, for the hotspots of a fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct AppFunctions {
    pub(super) total: i64,
    pub(super) few_samples: bool,
    pub(super) tick_ns: Option<i64>,
    pub(super) functions: Vec<AppFunction>,
}

impl AppFunctions {
    /// Reduces a profile. Functions most of whose ticks are claimed as one of `exclude` are left out.
    pub fn of(rules: &Rules, app: &FleetApp<'_>, exclude: &[Category]) -> Self {
        let mut leaves = Leaves::of(rules, app);
        leaves.rows.retain(|row| row.ticks > 0 && row.category().is_none_or(|category| !exclude.contains(&category)));
        Self {
            total: leaves.total,
            few_samples: app.has_few_samples(),
            tick_ns: app.nanoseconds(),
            functions: leaves.rows.into_iter().map(AppFunction::from).collect(),
        }
    }

    /// Whether the window has any data.
    pub fn has_data(&self) -> bool {
        self.total > 0
    }
}

/// The functions that stacks end in.
struct Leaves<'p> {
    rows: Vec<Row<'p>>,
    total: i64,
}

struct Row<'p> {
    key: Cow<'p, str>,
    /// The heaviest spelling, and its ticks.
    spelling: (i64, &'p str),
    ticks: i64,
    /// Ticks by what they are claimed as: seldom more than two.
    claimed: Vec<(Option<Category>, i64)>,
    origin: Origin,
}

/// The ticks of stacks that end in functions of one name.
#[derive(Default)]
struct Named {
    ticks: i64,
    claimed: Vec<(Option<Category>, i64)>,
    origin: Origin,
}

impl<'p> Leaves<'p> {
    fn of(rules: &Rules, app: &FleetApp<'p>) -> Self {
        let profile = app.profile;
        let claims = Claims::of(rules, profile, app.kind);
        let mut named: Vec<Named> = Vec::new();
        let mut places: Vec<Option<u32>> = vec![None; profile.text_count()];
        let mut seen: Vec<TextId> = Vec::new();
        let (mut total, mut no_stack) = (0_i64, 0_i64);
        for (stack, claim) in profile.stacks().zip(claims.claims()) {
            let ticks = stack.values.first().copied().unwrap_or(0);
            total = total.saturating_add(ticks);
            let leaf = stack.frames.first().and_then(|leaf| Some((*leaf, profile.function_texts(*leaf)?.name)));
            let Some((leaf, name)) = leaf else {
                no_stack = no_stack.saturating_add(ticks);
                continue;
            };
            let Some(place) = places.get_mut(name.index()) else { continue };
            let place = *place.get_or_insert_with(|| {
                seen.push(name);
                named.push(Named { origin: claims.origin(leaf), ..Named::default() });
                u32::try_from(named.len() - 1).unwrap_or(u32::MAX)
            });
            let Some(named) = named.get_mut(place as usize) else { continue };
            named.ticks = named.ticks.saturating_add(ticks);
            add(&mut named.claimed, claim.map(|claim| claim.category), ticks);
        }
        let claimed = vec![(Some(Category::Unresolved), no_stack)];
        let unknown = Named { ticks: no_stack, claimed, origin: Origin::Runtime };
        let unknown = (no_stack > 0).then_some((FunctionTable::NO_STACK, unknown));
        let names = seen.into_iter().map(|name| profile.text(name));
        Self { rows: joined(names.zip(named).chain(unknown)), total }
    }
}

/// Adds up spellings of one function.
fn joined<'p>(names: impl Iterator<Item = (&'p str, Named)>) -> Vec<Row<'p>> {
    let mut rows: Vec<Row<'p>> = Vec::with_capacity(names.size_hint().0);
    let mut by_key: HashMap<Cow<'p, str>, usize> = HashMap::with_capacity(names.size_hint().0);
    for (name, named) in names {
        let key = key(name);
        if let Some(row) = by_key.get(&key).and_then(|place| rows.get_mut(*place)) {
            row.add(name, named);
            continue;
        }
        by_key.insert(key.clone(), rows.len());
        let Named { ticks, claimed, origin } = named;
        rows.push(Row { key, spelling: (ticks, name), ticks, claimed, origin });
    }
    rows
}

impl<'p> Row<'p> {
    fn add(&mut self, name: &'p str, named: Named) {
        self.ticks = self.ticks.saturating_add(named.ticks);
        for (category, ticks) in named.claimed {
            add(&mut self.claimed, category, ticks);
        }
        let (heaviest, spelling) = self.spelling;
        if named.ticks > heaviest || named.ticks == heaviest && name < spelling {
            self.spelling = (named.ticks, name);
            self.origin = named.origin;
        }
    }

    /// What most ticks are claimed as; of as many, what the catalogue lists first.
    fn category(&self) -> Option<Category> {
        let order = |category: &Option<Category>| category.map_or(usize::MAX, |category| category as usize);
        let most = self.claimed.iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| order(&b.0).cmp(&order(&a.0))));
        most.and_then(|(category, _)| *category)
    }
}

impl From<Row<'_>> for AppFunction {
    fn from(row: Row<'_>) -> Self {
        Self {
            category: row.category(),
            spelling: (row.spelling.1 != row.key).then(|| row.spelling.1.into()),
            key: row.key.into(),
            ticks: row.ticks,
            origin: row.origin,
        }
    }
}

fn add(claimed: &mut Vec<(Option<Category>, i64)>, category: Option<Category>, ticks: i64) {
    match claimed.iter_mut().find(|(other, _)| *other == category) {
        Some((_, sum)) => *sum = sum.saturating_add(ticks),
        None => claimed.push((category, ticks)),
    }
}
