//! Which crates of a Rust program are the application.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::profile::{FunctionId, Profile};
use crate::verdict::catalogue::FunctionInfo;
use crate::verdict::category::{Origin, Runtime};
use crate::verdict::names::Frame;

/// A crate is the program's own if it is nearest the root on at least this percentage of the ticks outside `main`.
const NEAREST: i64 = 5;
/// A crate is the program's own if `main` calls it directly on at least this percentage of its ticks: then `main` only starts
/// it.
const ALL_OF_MAIN: i64 = 80;

/// The first words of the names of libraries that run the code they are given.
const EXECUTORS: [&str; 9] =
    ["actix", "async", "crossbeam", "futures", "rayon", "smol", "threadpool", "tokio", "tracing"];

/// The ticks by crate, and all of them.
#[derive(Default)]
struct Votes<'p> {
    by_crate: FxHashMap<&'p str, i64>,
    all: i64,
}

impl<'p> Votes<'p> {
    fn add(&mut self, name: Option<&'p str>, ticks: i64) {
        if let Some(name) = name {
            *self.by_crate.entry(name).or_default() += ticks;
        }
        self.all += ticks;
    }

    /// The crates with this share of the ticks, percent.
    fn from(&self, percent: i64) -> impl Iterator<Item = &'p str> {
        self.by_crate.iter().filter(move |(_, ticks)| **ticks * 100 >= self.all * percent).map(|(name, _)| *name)
    }
}

/// Marks the crates that a Rust program calls as libraries. A profile does not say which crates are the program's own, so
/// these are taken for its own: the crate of `main`, a crate that `main` only starts, crates nearest the root on other
/// threads, and crates whose names begin with the same word. Without a `main` nothing is marked.
pub(super) fn mark_libraries(infos: &mut [FunctionInfo], profile: &Profile) {
    let functions: Vec<_> =
        infos.iter().zip(profile.function_ids()).map(|(info, id)| Function::of(info, profile, id)).collect();
    let own = own_crates(&functions, profile);
    if own.is_empty() {
        return;
    }
    let words: FxHashSet<_> = own.iter().map(|name| first_word(name)).collect();
    for (info, function) in infos.iter_mut().zip(&functions) {
        let name = function.name.as_deref().filter(|_| function.part == Part::Unlisted);
        if name.is_some_and(|name| !own.contains(name) && !words.contains(first_word(name))) {
            info.origin = Origin::Library;
        }
    }
}

/// The crate of a function, and what it says about which crates are the program's own.
struct Function {
    name: Option<String>,
    part: Part,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// `main` of a crate, and its closures.
    Main,
    /// Of a crate that no list knows.
    Unlisted,
    /// Of a library that runs what it is given, of the standard library, or no Rust.
    Runs,
    /// Of another library.
    Library,
}

impl Function {
    fn of(info: &FunctionInfo, profile: &Profile, id: FunctionId) -> Self {
        if info.origin == Origin::Runtime || !matches!(info.own, Some(Runtime::Rust | Runtime::Native)) {
            return Self { name: None, part: Part::Runs };
        }
        let (name, file) = profile.function(id);
        let frame = Frame::of(name, file);
        let name = crate_of(&frame).map(str::to_owned);
        let part = match (&name, info.origin) {
            (None, _) => Part::Runs,
            (Some(_), Origin::App) if frame.text.split("::").nth(1) == Some("main") => Part::Main,
            (Some(_), Origin::App) => Part::Unlisted,
            (Some(name), _) if EXECUTORS.contains(&first_word(name)) => Part::Runs,
            (Some(_), _) => Part::Library,
        };
        Self { name, part }
    }
}

/// The application's crates; none where no `main` was seen.
fn own_crates<'f>(functions: &'f [Function], profile: &Profile) -> FxHashSet<&'f str> {
    let mains = functions.iter().filter(|function| function.part == Part::Main);
    let mut own: FxHashSet<_> = mains.filter_map(|function| function.name.as_deref()).collect();
    if own.is_empty() {
        return own;
    }
    let (mut beneath_main, mut elsewhere) = (Votes::default(), Votes::default());
    for stack in profile.stacks() {
        let ticks = stack.values.first().copied().unwrap_or(0);
        let part = |frame: &&FunctionId| functions.get(frame.index()).map_or(Part::Runs, |function| function.part);
        let main = stack.frames.iter().position(|frame| part(&frame) == Part::Main);
        let beneath = stack.frames.get(..main.unwrap_or(stack.frames.len())).unwrap_or(&[]);
        let votes = if main.is_some() { &mut beneath_main } else { &mut elsewhere };
        let nearest = beneath.iter().rev().find(|frame| part(frame) != Part::Runs);
        let nearest = nearest.filter(|frame| part(frame) == Part::Unlisted);
        votes.add(nearest.and_then(|frame| functions.get(frame.index())?.name.as_deref()), ticks);
    }
    own.extend(beneath_main.from(ALL_OF_MAIN));
    own.extend(elsewhere.from(NEAREST));
    own
}

/// The crate of a path; of a trait's method on a type parameter or a primitive, that of the trait.
fn crate_of(frame: &Frame) -> Option<&str> {
    let is_bare = frame.text.matches("::").count() == 1;
    let path = frame.alt.as_deref().filter(|_| is_bare).unwrap_or(&frame.text);
    let (name, _) = path.split_once("::")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!name.is_empty() && name.chars().all(plain)).then_some(name)
}

/// `nu` of `nu_engine`.
fn first_word(name: &str) -> &str {
    name.split('_').find(|word| !word.is_empty()).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::kernel::ProfileType;
    use crate::profile::{ReadLimits, SampleType, read_folded};
    use crate::verdict::catalogue::Rules;
    use crate::verdict::claims::Claims;

    const MAIN: &str = "std::rt::lang_start;shop::main;shop::run;image_codec::decode 90\n";

    #[rstest]
    #[case::of_main(MAIN, "shop::run", true)]
    #[case::called(MAIN, "image_codec::decode", false)]
    #[case::trait_of_a_library_on_a_primitive(
        "std::rt::lang_start;shop::main;shop::run;<u8 as image_codec::Pixel>::blend 9\n",
        "<u8 as image_codec::Pixel>::blend",
        false
    )]
    #[case::of_the_same_workspace(
        "std::rt::lang_start;shop::main;shop::run;shop_pricing::total 9\n",
        "shop_pricing::total",
        true
    )]
    #[case::that_main_only_starts(
        "std::rt::lang_start;hx::main;helix_term::run;helix_view::draw 9\n",
        "helix_term::run",
        true
    )]
    #[case::called_by_a_library(
        "std::rt::lang_start;shop::main;tokio::run;sqlx::connect;image_codec::decode 9\n",
        "image_codec::decode",
        false
    )]
    #[case::on_another_thread(
        "std::rt::lang_start;shop::main;shop::run 9\nstd::thread::spawn;pricing::work;image_codec::decode 9\n",
        "pricing::work",
        true
    )]
    #[case::without_a_main(
        "tokio::runtime::task::poll;pricing::work;image_codec::decode 9\n",
        "image_codec::decode",
        true
    )]
    fn crates_that_the_program_calls_are_libraries(#[case] folded: &str, #[case] name: &str, #[case] is_own: bool) {
        let profile = read_folded(folded.as_bytes(), SampleType::new("samples", ""), &ReadLimits::default()).unwrap();
        let claims = Claims::of(&Rules::builtin(), &profile, ProfileType::Cpu);
        let id = profile.function_ids().find(|id| profile.name(*id) == name).unwrap();
        assert_eq!(claims.is_first_party(id), is_own);
    }
}
