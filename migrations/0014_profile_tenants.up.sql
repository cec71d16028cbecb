-- Apps of one name may belong to several tenants. What was stored before belongs to the default one.
ALTER TABLE profile_store.app ADD COLUMN IF NOT EXISTS tenant varchar(150) NOT NULL DEFAULT 'anonymous';
ALTER TABLE profile_store.app DROP CONSTRAINT IF EXISTS profile_store_app_name_key;
ALTER TABLE profile_store.app DROP CONSTRAINT IF EXISTS profile_store_app_tenant_name_key;
ALTER TABLE profile_store.app ADD CONSTRAINT profile_store_app_tenant_name_key UNIQUE (tenant, name);
