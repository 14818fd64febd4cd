{{ first_of_near_duplicates(ref('stg_news')) }}
