-- What the rows held before is not known any more: they stay as they are.
SELECT 1;
