//! Compares two files, whose content shows their format.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;

use super::Args;
use crate::bor::LinkSettings;
use crate::bor::diff::{Diff, DiffBody, FilesDiff, shell_word};
use crate::cli::profile_file::{FileError, ReadFile, name_of};
use crate::cli::{Exit, server};
use crate::kernel::{LimitSeverity, Percent, ProfileType};
use crate::sor::profile_data::MergedProfile;
use crate::verdict::{Limit, Rules};

/// Approved limits, as `GET /baselines/{app}` answers them. Other members are ignored.
#[derive(Debug, Default, Deserialize)]
struct LimitsFile {
    baselines: Vec<LimitRow>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LimitRow {
    profile_type: ProfileType,
    function_name: String,
    max_self_percent: Percent,
    #[serde(default)]
    severity: Option<LimitSeverity>,
}

/// The diff of two files. If there is none, prints why to standard error and returns how to exit.
pub(super) async fn compare(args: &Args, paths: &[PathBuf]) -> anyhow::Result<Result<DiffBody, Exit>> {
    let [before, now] = paths else { return Ok(Err(Exit::Usage)) };
    let limits = match limits(args).await {
        Ok(Ok(limits)) => limits,
        Ok(Err(exit)) => return Ok(Err(exit)),
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(Err(if args.baselines.is_some() { Exit::Usage } else { Exit::NoData }));
        }
    };
    Ok(match diff(args, [before, now], limits.as_ref()) {
        Ok(body) => Ok(body),
        Err(error) => {
            eprintln!("error: {error}");
            Err(error.exit())
        }
    })
}

async fn limits(args: &Args) -> anyhow::Result<Result<Option<LimitsFile>, Exit>> {
    if let Some(path) = &args.baselines {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let limits = serde_json::from_slice(&bytes)
            .with_context(|| format!("{} does not hold what GET /baselines/{{app}} answers", path.display()))?;
        return Ok(Ok(Some(limits)));
    }
    let Some(app) = &args.limits_of else { return Ok(Ok(None)) };
    let text = match server::ask(&args.server.url, ["baselines", app.as_str()], &[]).await? {
        Ok(text) => text,
        Err(exit) => return Ok(Err(exit)),
    };
    let limits =
        serde_json::from_str(&text).with_context(|| format!("{} gave no list of baselines", args.server.url))?;
    Ok(Ok(Some(limits)))
}

fn diff(args: &Args, [before, now]: [&Path; 2], limits: Option<&LimitsFile>) -> Result<DiffBody, FileError> {
    let (first, second) = (ReadFile::at(before, args.kind)?, ReadFile::at(now, args.kind)?);
    let chosen = [first.choose(args.kind), second.choose(args.kind)];
    for ((file, path), chosen) in [(&first, before), (&second, now)].into_iter().zip(&chosen) {
        if chosen.is_empty() {
            return Err(file.lacks(path, args.kind));
        }
    }
    let (kind, profiles) =
        common(&chosen).ok_or_else(|| second.lacks(now, chosen[0].first().map(|(kind, _)| *kind)))?;
    let is_for = |kind: ProfileType| move |limit: &LimitRow| limit.profile_type == kind;
    // Limits that do not apply because of a missing option must not look kept.
    let given = limits.map_or(&[][..], |limits| &limits.baselines);
    if kind == ProfileType::Samples && !given.is_empty() && !given.iter().any(is_for(kind)) {
        return Err(FileError::NoKindForLimits { path: now.display().to_string() });
    }
    let limits: Option<Vec<_>> = limits.map(|limits| {
        let of_kind = limits.baselines.iter().filter(|limit| is_for(kind)(limit));
        of_kind
            .map(|limit| Limit {
                function: &limit.function_name,
                max_self_percent: limit.max_self_percent.get(),
                severity: limit.severity.unwrap_or(LimitSeverity::Warning),
            })
            .collect()
    });
    let diff = Diff::of_files(&FilesDiff {
        rules: &Rules::builtin(),
        app: args.limits_of.clone().unwrap_or_else(|| name_of(now)),
        kind,
        profiles,
        windows: [first.window, second.window],
        limits: limits.as_deref(),
        limit: 0,
    });
    Ok(DiffBody::of(&diff, &LinkSettings::default()))
}

/// The kind to compare, which both files must have: one that both recorded with the same sample type, or else the first
/// of both.
fn common(chosen: &[Vec<(ProfileType, MergedProfile)>; 2]) -> Option<(ProfileType, [MergedProfile; 2])> {
    let [before, now] = chosen;
    let pairs = before.iter().filter_map(|(kind, one)| {
        let (_, other) = now.iter().find(|(of, _)| of == kind)?;
        Some((*kind, [one.clone(), other.clone()]))
    });
    let pairs: Vec<_> = pairs.collect();
    let comparable = |(_, [one, other]): &&(ProfileType, [MergedProfile; 2])| {
        one.meta.sample_type == other.meta.sample_type && one.profile.total(0) + other.profile.total(0) != 0
    };
    pairs.iter().find(comparable).or(pairs.first()).cloned()
}

/// The command that compares them again.
pub(super) fn command(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|path| shell_word(&path.display().to_string())).collect();
    format!("flamewarden diff {}", paths.join(" "))
}
