DROP TABLE IF EXISTS profile_store.rollup;
