//! Answers with stacks: merged profiles as pprof, and flame graphs of one or two of them.

use prost::Message;

use super::super::proto::google;
use super::super::proto::querier::v1::{
    DiffRequest, DiffResponse, FlameGraph, FlameGraphDiff, Level, PprofProfile, ProfileFormat,
    SelectMergeProfileRequest, SelectMergeStacktracesRequest, SelectMergeStacktracesResponse,
};
use super::connect::invalid;
use super::questions::{Profiles, nodes};
use super::{Asker, Querier};
use crate::http::Problem;
use crate::kernel::{PortError, offload};
use crate::profile::{
    FlameLevels, PprofHeader, Profile, SampleType, flame_levels, flame_levels_diff, largest_nodes, write_plain,
};

impl Querier {
    async fn merged(&self, asker: &Asker, asked: &Profiles) -> Result<Profile, Problem> {
        let Profiles { type_id, matchers, window } = asked;
        let merged = self.store.merged_series(&asker.call, &asker.tenant, *window, matchers, type_id.values());
        Box::pin(merged).await.map_err(|error| Problem::of_relational(&error))
    }

    /// A merged profile as pprof. Without `maxNodes` nothing is left out. Nothing is an empty message.
    pub(super) async fn merge_profile(
        &self,
        asker: &Asker,
        asked: &SelectMergeProfileRequest,
    ) -> Result<Vec<u8>, Problem> {
        let profiles = Profiles::try_from(asked)?;
        let nodes = asked.max_nodes.filter(|nodes| *nodes != 0).map(|asked| nodes(Some(asked))).transpose()?;
        self.pprof(asker, profiles, nodes).await
    }

    async fn pprof(&self, asker: &Asker, asked: Profiles, nodes: Option<usize>) -> Result<Vec<u8>, Problem> {
        let merged = self.merged(asker, &asked).await?;
        if merged.stack_count() == 0 {
            return Ok(Vec::new());
        }
        heavy(move || {
            let Profiles { type_id, window, .. } = asked;
            let header = PprofHeader {
                time: Some(window.from()),
                duration: Some(window.duration()),
                period_type: Some(SampleType::new(type_id.period_type, type_id.period_unit)),
                ..PprofHeader::default()
            };
            match nodes {
                Some(nodes) => write_plain(&largest_nodes(&merged, 0, nodes), &header),
                None => write_plain(&merged, &header),
            }
        })
        .await
    }

    pub(super) async fn merge_stacktraces(
        &self,
        asker: &Asker,
        asked: SelectMergeStacktracesRequest,
    ) -> Result<SelectMergeStacktracesResponse, Problem> {
        let (profiles, nodes) = (Profiles::try_from(&asked)?, nodes(asked.max_nodes)?);
        match ProfileFormat::try_from(asked.format) {
            Ok(ProfileFormat::Unspecified | ProfileFormat::Flamegraph) => {
                let flamegraph = Some(self.flame_graph(asker, &profiles, nodes).await?.into());
                Ok(SelectMergeStacktracesResponse { flamegraph, pprof: None })
            }
            Ok(ProfileFormat::Pprof) => {
                let nodes = asked.max_nodes.filter(|nodes| *nodes != 0).map(|_| nodes);
                let bytes = self.pprof(asker, profiles, nodes).await?;
                let profile = google::v1::Profile::decode(bytes.as_slice()).map_err(Problem::internal_error)?;
                let pprof = Some(PprofProfile { profile: Some(profile) });
                Ok(SelectMergeStacktracesResponse { flamegraph: None, pprof })
            }
            Ok(format @ (ProfileFormat::Tree | ProfileFormat::Dot)) => Err(invalid(format!(
                "format {} is not served: ask for PROFILE_FORMAT_FLAMEGRAPH or PROFILE_FORMAT_PPROF",
                format.as_str_name()
            ))),
            Err(_) => Err(invalid(format!("{} is no format", asked.format))),
        }
    }

    /// The flame graph of a merged profile.
    pub(super) async fn flame_graph(
        &self,
        asker: &Asker,
        asked: &Profiles,
        nodes: usize,
    ) -> Result<FlameLevels, Problem> {
        let merged = self.merged(asker, asked).await?;
        heavy(move || flame_levels(&merged, 0, nodes)).await
    }

    pub(super) async fn diff(&self, asker: &Asker, asked: DiffRequest) -> Result<DiffResponse, Problem> {
        let side = |name: &str, side: Option<SelectMergeStacktracesRequest>| {
            side.ok_or_else(|| invalid(format!("{name} is required")))
        };
        let (left, right) = (side("left", asked.left)?, side("right", asked.right)?);
        let nodes = nodes(left.max_nodes.or(right.max_nodes))?;
        let (left, right) = (Profiles::try_from(&left)?, Profiles::try_from(&right)?);
        let flamegraph = Some(self.flame_graph_diff(asker, &left, &right, nodes).await?.into());
        Ok(DiffResponse { flamegraph })
    }

    /// The flame graph of two merged profiles.
    pub(super) async fn flame_graph_diff(
        &self,
        asker: &Asker,
        left: &Profiles,
        right: &Profiles,
        nodes: usize,
    ) -> Result<FlameLevels, Problem> {
        let (left, right) = futures::try_join!(self.merged(asker, left), self.merged(asker, right))?;
        heavy(move || flame_levels_diff(&left, &right, 0, nodes)).await
    }
}

/// Runs work off the threads that serve requests.
async fn heavy<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    offload("writing a profile", work).await.map_err(|error: PortError| Problem::of_relational(&error))
}

impl From<FlameLevels> for FlameGraph {
    fn from(graph: FlameLevels) -> Self {
        let FlameLevels { names, levels, totals: [total, _], max_self } = graph;
        Self { names, levels: rows(levels), total, max_self }
    }
}

impl From<FlameLevels> for FlameGraphDiff {
    fn from(graph: FlameLevels) -> Self {
        let FlameLevels { names, levels, totals: [left_ticks, right_ticks], max_self } = graph;
        let total = left_ticks.saturating_add(right_ticks);
        Self { names, levels: rows(levels), total, max_self, left_ticks, right_ticks }
    }
}

fn rows(levels: Vec<Vec<i64>>) -> Vec<Level> {
    levels.into_iter().map(|values| Level { values }).collect()
}
