use super::PortResult;

/// One page of a list, and the place where the next one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, P> {
    /// The entries, in the list's order.
    pub entries: Vec<T>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<P>,
}

impl<T, P> Page<T, P> {
    /// A list without entries.
    pub fn empty() -> Self {
        Self { entries: Vec::new(), next: None }
    }

    /// The page of `limit` rows, of which one more than that was asked for. `place` tells where a row stands.
    pub fn cut(mut rows: Vec<T>, limit: usize, place: impl Fn(&T) -> P) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(place);
        Self { entries: rows, next }
    }

    /// The same page with other entries. Entries for which `read` returns nothing are left out.
    pub fn read<U>(self, read: impl FnMut(T) -> Option<U>) -> Page<U, P> {
        Page { entries: self.entries.into_iter().filter_map(read).collect(), next: self.next }
    }
}

/// All entries of a list, page by page; `page` reads the one that begins at a place.
pub async fn all_pages<T, P, F>(mut page: impl FnMut(Option<P>) -> F) -> PortResult<Vec<T>>
where
    F: Future<Output = PortResult<Page<T, P>>>,
{
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let Page { entries, next } = page(after).await?;
        all.extend(entries);
        if next.is_none() {
            return Ok(all);
        }
        after = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pages_join_to_the_whole_list(length in 0..20_usize, limit in 1..7_usize) {
            let list: Vec<usize> = (0..length).collect();
            let page = |after: Option<usize>| {
                let rows = list.iter().copied().filter(|n| after.is_none_or(|after| *n > after)).take(limit + 1);
                std::future::ready(Ok(Page::cut(rows.collect(), limit, |n| *n)))
            };
            prop_assert_eq!(futures::executor::block_on(all_pages(page)), Ok(list.clone()));
            let first = Page::cut(list.iter().copied().take(limit + 1).collect(), limit, |n| *n);
            prop_assert_eq!((first.entries.len(), first.next.is_some()), (length.min(limit), length > limit));
        }
    }
}
