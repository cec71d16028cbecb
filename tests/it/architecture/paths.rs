//! What a path in the sources refers to, followed through aliases, glob imports and re-exports.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Module;

/// The largest number of steps for a path, so that circular ones end.
const LONGEST: usize = 30;

/// The modules by path, and the names that their `use` and `type` define.
pub(super) struct Names {
    modules: BTreeSet<String>,
    /// By the whole path of the name.
    aliases: BTreeMap<String, Vec<Meaning>>,
    /// By the module that imports all of another.
    globs: BTreeMap<String, Vec<String>>,
}

/// The path behind a name in a module.
struct Meaning {
    module: String,
    path: String,
    test: bool,
}

/// A step in resolving a path.
pub(super) struct Step {
    pub(super) path: String,
    /// The index of the step before it.
    pub(super) from: Option<usize>,
}

impl Names {
    pub(super) fn of(modules: &[Module]) -> Self {
        let paths = modules.iter().map(|module| module.path.clone()).collect();
        let mut names = Self { modules: paths, aliases: BTreeMap::new(), globs: BTreeMap::new() };
        let mut globs = Vec::new();
        for module in modules {
            for (name, path) in module.aliases() {
                if let Some(all_of) = path.strip_suffix("::*") {
                    globs.push((module.path.clone(), all_of.to_owned()));
                }
                let meaning = Meaning { module: module.path.clone(), path, test: module.test };
                names.aliases.entry(format!("{}::{name}", module.path)).or_default().push(meaning);
            }
        }
        for (module, all_of) in globs {
            let all_of = names.absolute(&module, &all_of, "");
            names.globs.entry(module).or_default().push(all_of);
        }
        names
    }

    pub(super) fn is_module(&self, path: &str) -> bool {
        self.modules.contains(path) && !self.aliases.contains_key(path)
    }

    /// The absolute path, then each path that it refers to. `name` is the alias in the module, or empty.
    pub(super) fn steps(&self, module: &Module, path: &str, name: &str) -> Vec<Step> {
        let mut steps = vec![Step { path: self.absolute(&module.path, path, name), from: None }];
        let mut at = 0;
        while at < steps.len() && steps.len() < LONGEST {
            for path in self.next(&steps[at].path, module.test) {
                if steps.iter().all(|step| step.path != path) {
                    steps.push(Step { path, from: Some(at) });
                }
            }
            at += 1;
        }
        steps
    }

    /// What the names in a path refer to.
    fn next(&self, path: &str, test: bool) -> Vec<String> {
        let ends: Vec<usize> = path.match_indices("::").map(|(end, _)| end).chain([path.len()]).collect();
        let aliased = ends.iter().rev().find_map(|end| {
            let meanings = self.aliases.get(&path[..*end])?.iter().filter(|meaning| test || !meaning.test);
            let name = path[..*end].rsplit("::").next().unwrap_or_default();
            Some(meanings.map(|meaning| self.absolute(&meaning.module, &meaning.path, name) + &path[*end..]).collect())
        });
        let mut next: Vec<String> = aliased.unwrap_or_default();
        for end in ends {
            let globs = self.globs.get(&path[..end]).into_iter().flatten();
            next.extend(globs.map(|all_of| format!("{all_of}{}", &path[end..])));
        }
        next
    }

    /// The path from the root of its crate. An alias never refers to itself, so `name` is skipped.
    fn absolute(&self, module: &str, path: &str, name: &str) -> String {
        let (first, rest) = path.split_once("::").unwrap_or((path, ""));
        let below = |module: &str| if rest.is_empty() { module.to_owned() } else { format!("{module}::{rest}") };
        match first {
            "crate" | "flamewarden" => below("crate"),
            "self" => below(module),
            "super" => {
                let above = module.rsplit_once("::").map_or(module, |(above, _)| above);
                if rest.starts_with("super") { self.absolute(above, rest, name) } else { below(above) }
            }
            _ => {
                let globs = self.globs.get(module).into_iter().flatten().map(String::as_str);
                let known =
                    |path: &String| self.modules.contains(path) || (first != name && self.aliases.contains_key(path));
                let here = [module].into_iter().chain(globs).map(|module| format!("{module}::{first}")).find(known);
                here.map_or_else(|| path.to_owned(), |here| below(&here))
            }
        }
    }
}
