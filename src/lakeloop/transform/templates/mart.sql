select * from {{ ref('stg_$name') }}
