{{ first_of_near_duplicates(ref('stg_$name')) }}
