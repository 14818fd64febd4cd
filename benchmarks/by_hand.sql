-- What transform and validate do to a day of texts, as one who knows DuckDB writes it for this one table.
-- {files} are the Parquet files of the raw table, {mart} and {quarantine} are written. The macros `normalised`
-- and `letters` are there: `checks.py` has them in two ways.
create table staged as
select *,
    left(sha256(coalesce(
        nullif(letters(lower(text)), ''), 'row:' || row_id
    )), 32) as text_key
from (
    select id as row_id,
        normalised(text) as text,
        nullif(normalised(label), '') as label,
        "at" as event_time, source_file, source_line, '{day}' as "partition"
    from read_parquet({files})
);

-- The first reason is the row's own; the words of all reasons are kept for the quarantine.
create table judged as
select rowid as place, *, reasons[1] as reason
from (
    select rowid, *, list_filter([
        case when row_id is null then 'row_id_missing' end,
        case when coalesce(length(text), 0) < 1 then 'text_too_short' end,
        case when label is null then 'label_missing' end,
        case when label not in ('business', 'sports', 'tech') then 'label_unknown' end,
        case when event_time is null then 'event_time_missing' end,
        case when length(text) > 2000 then 'text_too_long' end,
        case when not regexp_matches(row_id, '^row-[0-9]{{9}}$') then 'row_id_mismatch' end,
        case when not regexp_matches(text, '[A-Za-z]') then 'text_mismatch' end
    ], lambda reason: reason is not null) as reasons
    from staged
);

-- Near-duplicates are looked for among good rows that share a key (here all texts have letters or digits).
create table near as
select place, regexp_replace(lower(text),
    '(?:^|([\p{{S}}#%&*@/\\_§‰\x{{FF03}}\x{{FF05}}\x{{FF06}}\x{{FF0A}}\x{{FF20}}\x{{FF0F}}\x{{FF3C}}\x{{FF3F}}])|[\p{{P}} ])'
    '((?:[-\x{{2010}}-\x{{2013}}\x{{FE63}}\x{{FF0D}}]\.?|\.)\p{{N}}+(?:[\p{{P}} ]+\p{{N}}+)*)'
    '|([#%&*@/\\_§‰\x{{FF03}}\x{{FF05}}\x{{FF06}}\x{{FF0A}}\x{{FF20}}\x{{FF0F}}\x{{FF3C}}\x{{FF3F}}]'
    '|\p{{N}}+(?:[\p{{P}} ]+\p{{N}}+)*|[:;=][''\x{{2019}}]?[-~^]?[()\[\]{{}}|])'
    '|[\p{{P}}\p{{Z}}\p{{Cc}}\x{{AD}}\x{{61C}}\x{{200B}}\x{{200E}}\x{{200F}}\x{{202A}}-\x{{202E}}\x{{2060}}'
    '\x{{2066}}-\x{{2069}}\x{{FEFF}}]', '\1\2\3', 'g') as near
from judged
where reason is null
    and text_key in (select text_key from judged where reason is null group by text_key having count(*) > 1);

create table repeated as
with told as (
    select row_id, judged.place, coalesce('text:' || near, 'row:' || judged.place) as same
    from judged left join near using (place)
    where reason is null
        and row_id in (select row_id from judged where reason is null group by row_id having count(*) > 1)
)
select place from told
where row_id in (select row_id from told group by row_id having count(distinct same) > 1);

create table alike as
select place, near, label,
    row_number() over (partition by near order by source_file, source_line) > 1 as is_duplicate
from near join judged using (place) anti join repeated using (place);

copy (
    select row_id, text, label, text_key, event_time, source_file, source_line, "partition"
    from judged
    where reason is null and place not in (select place from repeated)
        and place not in (select place from alike where is_duplicate)
) to '{mart}' (format parquet, compression zstd);

copy (
    select coalesce(reason, 'row_id_repeated') as reason, array_to_string(reasons, '; ') as detail,
        row_id as row_key, judged.source_file, judged.source_line, to_json(raw) as raw
    from judged join read_parquet({files}) as raw using (source_file, source_line)
    where reason is not null or place in (select place from repeated)
) to '{quarantine}' (format parquet, compression zstd);
