select * from {{ ref('stg_news') }}
