//! Answers about types and labels: what there is in a window.

use std::collections::BTreeSet;

use super::super::proto::querier::v1::{ProfileTypesRequest, ProfileTypesResponse, SeriesRequest, SeriesResponse};
use super::super::proto::types::v1::{
    LabelNamesRequest, LabelNamesResponse, LabelPair, LabelValuesRequest, LabelValuesResponse, Labels, ProfileType,
};
use super::super::store::FoundSeries;
use super::super::type_id::TypeId;
use super::connect::invalid;
use super::questions::{last_hour, matchers, window};
use super::selector::{self, Matchers};
use super::{Asker, Querier};
use crate::http::Problem;
use crate::kernel::TimeWindow;

impl Querier {
    async fn found(&self, asker: &Asker, matchers: &Matchers, window: TimeWindow) -> Result<Vec<FoundSeries>, Problem> {
        let found = self.store.series(&asker.call, &asker.tenant, window, matchers);
        Box::pin(found).await.map_err(|error| Problem::of_relational(&error))
    }

    /// The types of a window.
    pub(super) async fn types(&self, asker: &Asker, window: TimeWindow) -> Result<BTreeSet<TypeId>, Problem> {
        let found = self.found(asker, &Matchers::default(), window).await?;
        Ok(found.iter().map(|series| series.as_ref().type_id.clone()).collect())
    }

    /// The values of a label, except the empty one.
    pub(super) async fn values(
        &self,
        asker: &Asker,
        name: &str,
        matchers: &Matchers,
        window: TimeWindow,
    ) -> Result<Vec<String>, Problem> {
        let found = self.found(asker, matchers, window).await?;
        let values: BTreeSet<_> =
            found.iter().map(|series| selector::value(&series.as_ref(), name).into_owned()).collect();
        Ok(values.into_iter().filter(|value| !value.is_empty()).collect())
    }

    pub(super) async fn profile_types(
        &self,
        asker: &Asker,
        asked: ProfileTypesRequest,
    ) -> Result<ProfileTypesResponse, Problem> {
        let window = match (asked.start, asked.end) {
            (0, 0) => last_hour(self.clock.now())?,
            (start, end) => window(start, end)?,
        };
        let profile_types = self.types(asker, window).await?.into_iter().map(profile_type).collect();
        Ok(ProfileTypesResponse { profile_types })
    }

    pub(super) async fn label_values(
        &self,
        asker: &Asker,
        asked: LabelValuesRequest,
    ) -> Result<LabelValuesResponse, Problem> {
        if asked.name.is_empty() {
            return Err(invalid("name is required"));
        }
        let (matchers, window) = (matchers(&asked.matchers)?, window(asked.start, asked.end)?);
        Ok(LabelValuesResponse { names: self.values(asker, &asked.name, &matchers, window).await? })
    }

    pub(super) async fn label_names(
        &self,
        asker: &Asker,
        asked: LabelNamesRequest,
    ) -> Result<LabelNamesResponse, Problem> {
        let (matchers, window) = (matchers(&asked.matchers)?, window(asked.start, asked.end)?);
        let found = self.found(asker, &matchers, window).await?;
        let mut names = BTreeSet::new();
        for series in &found {
            names.extend(selector::names(&series.as_ref()).filter(|name| asker.reads(name)).map(str::to_owned));
        }
        Ok(LabelNamesResponse { names: names.into_iter().collect() })
    }

    pub(super) async fn series(&self, asker: &Asker, asked: SeriesRequest) -> Result<SeriesResponse, Problem> {
        let (matchers, window) = (matchers(&asked.matchers)?, window(asked.start, asked.end)?);
        let found = self.found(asker, &matchers, window).await?;
        let mut sets = BTreeSet::new();
        for series in &found {
            let series = series.as_ref();
            let is_asked = |name: &&str| asked.label_names.is_empty() || asked.label_names.iter().any(|n| n == name);
            let names: BTreeSet<_> =
                selector::names(&series).filter(|name| asker.reads(name)).filter(is_asked).collect();
            let pair = |name: &str| (name.to_owned(), selector::value(&series, name).into_owned());
            sets.insert(names.into_iter().map(pair).collect::<Vec<_>>());
        }
        let labels_set = sets.into_iter().filter(|set| !set.is_empty()).map(|set| Labels { labels: pairs(set) });
        Ok(SeriesResponse { labels_set: labels_set.collect() })
    }
}

/// Labels as an answer.
pub(super) fn pairs(labels: Vec<(String, String)>) -> Vec<LabelPair> {
    labels.into_iter().map(|(name, value)| LabelPair { name, value }).collect()
}

fn profile_type(id: TypeId) -> ProfileType {
    ProfileType {
        id: id.to_string(),
        name: id.name,
        sample_type: id.sample_type,
        sample_unit: id.sample_unit,
        period_type: id.period_type,
        period_unit: id.period_unit,
    }
}
