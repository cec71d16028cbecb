//! Tells the main module of a Python program from the modules that it imports.

use crate::profile::Profile;
use crate::verdict::catalogue::FunctionInfo;
use crate::verdict::category::Runtime;
use crate::verdict::names::MODULE_BODY;

/// Modules that run another one as the program.
const RUNNERS: [&str; 3] = ["runpy", "cProfile", "pdb"];

/// The body of a module that no Python code calls is the program and not an import, wherever its file is: libraries install
/// commands. So the rule of imports is taken from it.
pub(super) fn mark_main_module(infos: &mut [FunctionInfo], profile: &Profile) {
    let is_python = |info: &FunctionInfo| info.own == Some(Runtime::Python);
    let is_body: Vec<_> = infos
        .iter()
        .zip(profile.function_ids())
        .map(|(info, id)| is_python(info) && info.rule.is_some() && profile.name(id).contains(MODULE_BODY))
        .collect();
    if !is_body.contains(&true) {
        return;
    }
    let names = |id| {
        let (name, file) = profile.function(id);
        RUNNERS.iter().any(|runner| name.contains(runner) || file.contains(runner))
    };
    for stack in profile.stacks() {
        let mut from_root = stack.frames.iter().rev().filter(|f| infos.get(f.index()).is_some_and(is_python));
        let outermost = from_root.find(|f| !names(**f)).map(|f| f.index());
        if let Some(at) = outermost.filter(|at| is_body.get(*at).is_some_and(|is| *is))
            && let Some(info) = infos.get_mut(at)
        {
            (info.rule, info.cause) = (None, None);
        }
    }
}
