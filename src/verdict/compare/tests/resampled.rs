//! A service that is watched again: windows drawn from a profile as a sampler would draw them.

use super::{FunctionId, Profile, ProfileBuilder, SampleType, Stack};

/// Nanoseconds of one sample.
const PERIOD: f64 = 10_000_000.0;

/// A generator of numbers that look like chance and are the same each run.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to 1, never 0.
    pub(super) fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64
    }

    pub(super) fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn poisson(&mut self, mean: f64) -> f64 {
        if mean > 60.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0);
        }
        let (limit, mut product, mut n) = ((-mean).exp(), self.uniform(), 0.0);
        while product > limit {
            product *= self.uniform();
            n += 1.0;
        }
        n
    }

    /// A count whose variance is 1.5 times its mean: samples that come alone, and a third of all bunches in pairs.
    fn bunched(&mut self, mean: f64) -> f64 {
        let bunches = mean * 0.75;
        self.poisson(bunches * 2.0 / 3.0) + 2.0 * self.poisson(bunches / 3.0)
    }
}

/// How a window differs from the service's profile.
#[derive(Clone, Copy)]
pub(super) struct Drawn<'a> {
    /// Samples expected of the unchanged service.
    pub(super) samples: f64,
    /// The load of each function drifts by this share of it (a standard deviation).
    pub(super) drift: f64,
    /// A function whose self ticks change by so much of all ticks.
    pub(super) changed: Option<(&'a str, f64)>,
}

/// Draws a window.
pub(super) fn draw(service: &Profile, dice: &mut Dice, drawn: Drawn<'_>) -> Profile {
    let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
    let functions: Vec<_> =
        service.function_ids().map(|id| service.function(id)).map(|(n, f)| builder.function(n, f)).collect();
    let drifts: Vec<_> = service.function_ids().map(|_| (drawn.drift * dice.normal()).exp()).collect();
    let total = service.total(0) as f64;
    let leaf = |frames: &[FunctionId]| frames.first().map(|id| service.name(*id));
    let own = |name: &str| -> f64 {
        let stacks = service.stacks().filter(|stack| leaf(stack.frames) == Some(name));
        stacks.filter_map(|stack| stack.values.first()).map(|value| *value as f64).sum()
    };
    let changed = drawn.changed.map(|(name, share)| (name, 1.0 + share * total / own(name)));
    for stack in service.stacks() {
        let share = stack.values.first().copied().unwrap_or(0) as f64 / total;
        let drift = stack.frames.first().and_then(|id| drifts.get(id.index())).copied().unwrap_or(1.0);
        let change = changed.filter(|(name, _)| leaf(stack.frames) == Some(name)).map_or(1.0, |(_, factor)| factor);
        let samples = dice.bunched((share * drawn.samples * drift * change).max(0.0));
        if samples > 0.0 {
            builder.add(
                stack.frames.iter().filter_map(|id| functions.get(id.index()).copied()),
                &[(samples * PERIOD) as i64],
            );
        }
    }
    builder.build()
}

/// The same window with one function's own ticks changed by so much of all ticks.
pub(super) fn altered(window: &Profile, function: &str, share: f64) -> Profile {
    let ticks = |stack: &Stack<'_>| stack.values.first().copied().unwrap_or(0);
    let is_its = |stack: &Stack<'_>| stack.frames.first().map(|id| window.name(*id)) == Some(function);
    let own: i64 = window.stacks().filter(is_its).map(|stack| ticks(&stack)).sum();
    let factor = 1.0 + share * window.total(0) as f64 / own as f64;
    let mut builder = ProfileBuilder::new(window.sample_types().to_vec());
    let functions: Vec<_> =
        window.function_ids().map(|id| window.function(id)).map(|(name, file)| builder.function(name, file)).collect();
    for stack in window.stacks() {
        let samples = ticks(&stack) as f64 / PERIOD * if is_its(&stack) { factor } else { 1.0 };
        let frames = stack.frames.iter().filter_map(|id| functions.get(id.index()).copied());
        builder.add(frames, &[(samples.round() * PERIOD) as i64]);
    }
    builder.build()
}
