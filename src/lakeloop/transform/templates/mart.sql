{{ config(materialized='view') }}
select * from {{ ref('stg_$name') }}
