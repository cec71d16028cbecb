//! Reads catalogue files and checks them: an error names the file, the rule and what is wrong.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustc_hash::FxHashMap;

use super::advice::{Advice, AdviceRow, BlindRow, Step, Threshold, ThresholdRow, Visibility};
use super::builtin::BUILTIN;
use super::cause::{Cause, CauseIndex};
use super::file::{
    AdviceEntry, BlindEntry, CatalogueFile, CauseEntry, OriginEntry, RuleEntry, StepEntry, SubtreeEntry,
    ThresholdEntry, WrapsEntry,
};
use super::pattern::Pattern;
use super::rule::{Reach, Rule, Space};
use super::rules::Rules;
use crate::kernel::ProfileType;
use crate::verdict::category::{Category, Runtime};

/// An app that uses fewer cores than this is quiet, unless the settings say otherwise.
const QUIET_CORES: f64 = 0.1;

/// Why a catalogue cannot be used: which file, which rule of it, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {}{problem}", rule.as_ref().map(|r| format!("rule {r:?}: ")).unwrap_or_default())]
pub struct RuleError {
    /// The file's name.
    pub file: String,
    /// The rule's id, if the fault is in one.
    pub rule: Option<String>,
    /// What is wrong.
    pub problem: String,
}

impl Rules {
    /// The catalogue that is compiled in.
    #[expect(clippy::expect_used, reason = "a test checks the compiled-in catalogue")]
    pub fn builtin() -> Arc<Self> {
        static BUILTIN: OnceLock<Arc<Rules>> = OnceLock::new();
        Arc::clone(BUILTIN.get_or_init(|| Arc::new(builtin().expect("the compiled-in catalogue is sound"))))
    }

    /// The catalogue of a server's settings: built in, or with the files of `dir`. An app that uses fewer cores than
    /// `quiet_cores` is quiet.
    ///
    /// # Errors
    /// Those of [`Rules::load`].
    pub fn of_settings(dir: Option<&Path>, quiet_cores: f64) -> Result<Arc<Self>, RuleError> {
        let rules = dir.map_or_else(builtin, directory)?;
        Ok(Arc::new(Self { quiet_cores, ..rules }))
    }

    /// The built-in catalogue, with the TOML files of `dir` added. They replace built-in files of the same name.
    ///
    /// # Errors
    /// The first fault found, with its file and rule.
    pub fn load(dir: &Path) -> Result<Self, RuleError> {
        directory(dir)
    }
}

fn builtin() -> Result<Rules, RuleError> {
    build(BUILTIN.iter().map(|(name, text)| (*name, *text)))
}

fn directory(dir: &Path) -> Result<Rules, RuleError> {
    let fault = |problem: String| RuleError { file: dir.display().to_string(), rule: None, problem };
    let mut files: BTreeMap<String, String> = BUILTIN.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
    let entries = std::fs::read_dir(dir).map_err(|e| fault(format!("cannot be read: {e}")))?;
    let mut found = false;
    for entry in entries {
        let path = entry.map_err(|e| fault(format!("cannot be read: {e}")))?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|e| RuleError {
            file: name.clone(),
            rule: None,
            problem: format!("cannot be read: {e}"),
        })?;
        files.insert(name, text);
        found = true;
    }
    if !found {
        return Err(fault("holds no .toml file".to_owned()));
    }
    build(files.iter().map(|(n, t)| (n.as_str(), t.as_str())))
}

fn build<'f>(files: impl Iterator<Item = (&'f str, &'f str)>) -> Result<Rules, RuleError> {
    let mut builder = Builder::default();
    for (name, text) in files {
        let file: CatalogueFile = toml::from_str(text).map_err(|e| RuleError {
            file: name.to_owned(),
            rule: None,
            problem: e.to_string().trim().to_owned(),
        })?;
        builder.file(name, file)?;
    }
    builder.name_causes()?;
    Ok(Rules { quiet_cores: QUIET_CORES, ..builder.rules })
}

#[derive(Default)]
struct Builder {
    rules: Rules,
    ids: FxHashMap<String, String>,
    /// Rules that name a cause, which any file may hold: place, file, cause.
    caused: Vec<(usize, String, String)>,
    /// Rules that yield to a cause, likewise.
    yielding: Vec<(usize, String, String)>,
}

impl Builder {
    fn file(&mut self, name: &str, file: CatalogueFile) -> Result<(), RuleError> {
        let wrong = |rule: Option<&str>, problem: String| RuleError {
            file: name.to_owned(),
            rule: rule.map(str::to_owned),
            problem,
        };
        for entry in file.rule {
            let id = entry.id.clone();
            self.rule(name, entry, file.runtime, file.space).map_err(|p| wrong(Some(&id), p))?;
        }
        for entry in file.cause {
            let id = entry.id.clone();
            self.cause(entry).map_err(|p| wrong(None, format!("the cause {id:?} {p}")))?;
        }
        for entry in file.origin {
            self.origin(&entry).map_err(|p| wrong(None, p))?;
        }
        for entry in file.subtree {
            self.subtree(entry).map_err(|p| wrong(None, p))?;
        }
        for entry in file.wraps {
            self.wraps(&entry).map_err(|p| wrong(None, p))?;
        }
        for entry in file.threshold {
            self.threshold(&entry).map_err(|p| wrong(None, p))?;
        }
        for entry in file.advice {
            self.advice(entry).map_err(|p| wrong(None, p))?;
        }
        for entry in file.blind {
            self.blind(entry).map_err(|p| wrong(None, p))?;
        }
        Ok(())
    }

    fn rule(
        &mut self,
        file: &str,
        entry: RuleEntry,
        runtime: Option<Runtime>,
        space: Option<Space>,
    ) -> Result<(), String> {
        if entry.id.is_empty()
            || !entry.id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
        {
            return Err("an id is made of a-z, 0-9, dot, dash and underscore".to_owned());
        }
        if let Some(other) = self.ids.insert(entry.id.clone(), file.to_owned()) {
            return Err(format!("the id stands in {other} already"));
        }
        let runtime = entry.runtime.or(runtime).ok_or("has no runtime, and its file names none")?;
        let space = entry.space.or(space).unwrap_or(Space::of(runtime));
        let pass_through = entry.category == "pass-through";
        let claimed = if pass_through || entry.category == "none" { None } else { Some(category(&entry.category)?) };
        if entry.names.is_empty() && entry.libraries.is_empty() {
            return Err("has neither names nor libraries".to_owned());
        }
        let index = u16::try_from(self.rules.list.len()).map_err(|_| "is one rule too many".to_owned())?;
        for text in &entry.names {
            let pattern = Pattern::parse(text).map_err(|e| format!("the pattern {e}"))?;
            if let Some(packages) = self.rules.packages.get_mut(space as usize)
                && pattern.is_package(space.package_depth())
            {
                // Two rules with one pattern are an error below.
                packages.add(pattern.clone(), u32::from(index)).ok();
            }
            let Some(set) = self.rules.sets.get_mut(space as usize) else { continue };
            if let Err(other) = set.add(pattern, u32::from(index)) {
                let other = self.rules.list.get(other as usize).map_or("", |rule| &*rule.id);
                return Err(format!("the pattern {text:?} stands in rule {other:?} already"));
            }
        }
        for text in &entry.libraries {
            self.rules.libraries.push((Pattern::parse(text).map_err(|e| format!("the library {e}"))?, index));
        }
        let parse = |text: &String| Pattern::parse(text).map_err(|e| format!("the exception {e}"));
        if let Some(cause) = entry.cause {
            self.caused.push((usize::from(index), file.to_owned(), cause));
        }
        for cause in entry.yields_to_causes {
            self.yielding.push((usize::from(index), file.to_owned(), cause));
        }
        let rule = Rule {
            runtime,
            cause: None,
            yields_to_causes: Vec::new(),
            category: claimed,
            pass_through,
            reach: entry.reach.unwrap_or(Reach::Wrapper),
            why: entry.why.map(Into::into),
            never_runs: entry.never_runs,
            counted: entry.counted.unwrap_or(true),
            alone: entry.alone,
            patterns: entry.names.len() + entry.libraries.len(),
            yields_to: entry.yields_to.iter().map(|c| category(c)).collect::<Result<_, _>>()?,
            except: entry.except.iter().map(parse).collect::<Result<_, _>>()?,
            only_in: entry.only_in.iter().map(parse).collect::<Result<_, _>>()?,
            not_in: entry.not_in.iter().map(parse).collect::<Result<_, _>>()?,
            id: entry.id.into(),
        };
        if rule.why.is_some() && rule.reach != Reach::Subtree {
            return Err("why is for rules of reach subtree".to_owned());
        }
        if rule.never_runs && rule.category != Some(Category::Idle) {
            return Err("never_runs is for rules of category idle".to_owned());
        }
        self.rules.list.push(rule);
        Ok(())
    }

    fn cause(&mut self, entry: CauseEntry) -> Result<(), String> {
        let index = u8::try_from(self.rules.causes.len()).map_err(|_| "is one too many".to_owned())?;
        if self.rules.causes.iter().any(|cause| *cause.id == *entry.id) {
            return Err("is given twice".to_owned());
        }
        for (space, names) in entry.names {
            let Some(set) = self.rules.cause_sets.get_mut(space as usize) else { continue };
            for text in names {
                let pattern = Pattern::parse(&text).map_err(|e| format!("has the pattern {e}"))?;
                if let Err(other) = set.add(pattern, u32::from(index)) {
                    let other = self.rules.causes.get(other as usize).map_or("", |cause| &*cause.id);
                    return Err(format!("has the pattern {text:?} of the cause {other:?}"));
                }
            }
        }
        let steps = entry.steps.into_iter().map(step).collect::<Result<Vec<_>, _>>()?;
        let advice = match entry.advice {
            Some(text) if !text.contains("{place}") => return Err("has advice without {place}".to_owned()),
            None if !steps.is_empty() => return Err("has steps without advice".to_owned()),
            text => text.map(|text| Advice { recommendation: text.into(), steps: steps.into() }),
        };
        self.rules.causes.push(Arc::new(Cause {
            category: category(&entry.category)?,
            id: entry.id.into(),
            phrase: entry.phrase.into(),
            covers: entry.covers,
            advice,
        }));
        Ok(())
    }

    /// Gives the rules that name a cause its place. A cause belongs to the category that its rules claim.
    fn name_causes(&mut self) -> Result<(), RuleError> {
        let Rules { list, causes, .. } = &mut self.rules;
        for (place, file, id) in std::mem::take(&mut self.yielding) {
            let Some(rule) = list.get_mut(place) else { continue };
            let known = causes.iter().position(|cause| *cause.id == *id).and_then(|at| u8::try_from(at).ok());
            let Some(at) = known else {
                let problem = format!("yields to the cause {id:?}, which is unknown");
                return Err(RuleError { file, rule: Some(rule.id.to_string()), problem });
            };
            rule.yields_to_causes.push(CauseIndex(at));
        }
        for (place, file, id) in std::mem::take(&mut self.caused) {
            let Some(rule) = list.get_mut(place) else { continue };
            let known = causes.iter().position(|cause| *cause.id == *id);
            let found = known.and_then(|at| Some((u8::try_from(at).ok()?, causes.get(at)?)));
            let problem = match found {
                Some((at, cause)) if rule.category == Some(cause.category) => {
                    rule.cause = Some(CauseIndex(at));
                    continue;
                }
                Some((_, cause)) => {
                    format!("the cause {id:?} is one of {}, and the rule claims another", cause.category)
                }
                None => format!("the cause {id:?} is unknown"),
            };
            return Err(RuleError { file, rule: Some(rule.id.to_string()), problem });
        }
        Ok(())
    }

    fn origin(&mut self, entry: &OriginEntry) -> Result<(), String> {
        let Some(set) = self.rules.origins.get_mut(entry.space as usize) else { return Ok(()) };
        for (number, list) in [(0, &entry.runtime), (1, &entry.library)] {
            for text in list {
                let pattern = Pattern::parse(text).map_err(|e| format!("the origin {e}"))?;
                set.add(pattern, number)
                    .map_err(|_| format!("the origin {text:?} is both of a runtime and of a library"))?;
            }
        }
        Ok(())
    }

    fn subtree(&mut self, entry: SubtreeEntry) -> Result<(), String> {
        let category = category(&entry.category)?;
        if self.rules.subtree_reasons.iter().any(|(of, _)| *of == category) {
            return Err(format!("the reason for subtrees of {:?} is given twice", entry.category));
        }
        self.rules.subtree_reasons.push((category, entry.why.into()));
        Ok(())
    }

    fn wraps(&mut self, entry: &WrapsEntry) -> Result<(), String> {
        let Some(set) = self.rules.wraps.get_mut(entry.space as usize) else { return Ok(()) };
        for text in &entry.names {
            let pattern = Pattern::parse(text).map_err(|e| format!("the wrapping name {e}"))?;
            set.add(pattern, 0).map_err(|_| format!("the wrapping name {text:?} is given twice"))?;
        }
        Ok(())
    }

    fn threshold(&mut self, entry: &ThresholdEntry) -> Result<(), String> {
        if !(0.0..=100.0).contains(&entry.percent) {
            return Err(format!("the threshold of {:?} is {}, not a share of 0 to 100", entry.category, entry.percent));
        }
        let row = ThresholdRow {
            category: category(&entry.category)?,
            kinds: kinds(&entry.kinds)?,
            threshold: Threshold {
                percent: entry.percent,
                source: entry.source.as_str().into(),
                judgement: entry.judgement,
            },
        };
        if self
            .rules
            .thresholds
            .iter()
            .any(|r| r.category == row.category && r.kinds.iter().any(|k| row.kinds.contains(k)))
        {
            return Err(format!("the threshold of {:?} is given twice for one kind", entry.category));
        }
        self.rules.thresholds.push(row);
        Ok(())
    }

    fn advice(&mut self, entry: AdviceEntry) -> Result<(), String> {
        let category = category(&entry.category)?;
        if !category.is_active() {
            return Err(format!("the advice on {:?} is never given: no finding is of it", entry.category));
        }
        if self.rules.advice.iter().any(|r| r.category == category && r.runtime == entry.runtime) {
            return Err(format!("the advice on {:?} is given twice", entry.category));
        }
        let steps = entry.steps.into_iter().map(step).collect::<Result<_, _>>()?;
        let of_any = |row: &&AdviceRow| row.category == category && row.runtime.is_none();
        let recommendation = match entry.recommendation {
            Some(text) if !text.contains("{place}") => {
                return Err(format!("the recommendation of {:?} has no {{place}}", entry.category));
            }
            Some(text) => text.into(),
            None => match self.rules.advice.iter().find(of_any) {
                Some(row) => Arc::clone(&row.advice.recommendation),
                None => return Err(format!("the advice on {:?} has no recommendation", entry.category)),
            },
        };
        let advice = Advice { recommendation, steps };
        self.rules.advice.push(AdviceRow { category, runtime: entry.runtime, advice });
        Ok(())
    }

    fn blind(&mut self, entry: BlindEntry) -> Result<(), String> {
        self.rules.blind.push(BlindRow {
            kinds: kinds(&entry.kinds)?,
            categories: entry.categories.iter().map(|c| category(c)).collect::<Result<_, _>>()?,
            runtimes: entry.runtimes,
            without_native_frames: entry.without_native_frames,
            visibility: if entry.cost_only { Visibility::CostOnly } else { Visibility::Unseen },
        });
        Ok(())
    }
}

fn category(id: &str) -> Result<Category, String> {
    id.parse()
}

fn step(entry: StepEntry) -> Result<Step, String> {
    Ok(match entry {
        StepEntry::Always(text) => Step { kinds: Vec::new(), text },
        StepEntry::IfSent(entry) => Step { kinds: kinds(&entry.kinds)?, text: entry.step },
    })
}

fn kinds(names: &[String]) -> Result<Vec<ProfileType>, String> {
    names.iter().map(|name| name.parse::<ProfileType>().map_err(|e| e.to_string())).collect()
}
