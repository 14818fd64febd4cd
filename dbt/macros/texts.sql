{#
  The step that every loop of texts shares. The models of a loop are one line each:

    models/<loop>/staging/stg_<loop>.sql
      {{ staged_texts(source('<loop>', 'raw')) }}

    models/<loop>/marts/mart_<loop>.sql
      select * from {{ ref('stg_<loop>') }}

  and a yml beside each, which declares the source (schema and name <loop>, table raw), the columns of the
  contract, data tests and unit tests. They are generated; `lakeloop eject <loop>` writes them, for you to
  change. dbt_project.yml needs no entry.

  Which raw column is the key, the text, the target and the event time says the loop file: the stage adds them
  to the source as lakeloop_key, lakeloop_text, lakeloop_event_time and, for each column of the task,
  lakeloop_<name>. Columns of the task besides the text are `words` (normalised, blank is null) or `numbers`,
  each a name and an SQL expression: words={'label': 'lakeloop_label'}, which is also the default, or
  numbers={'target': 'lakeloop_target'}. Names of those that a model reads as it reads the text are `beside`. Every argument can be an expression over the raw columns:
  text="concat_ws(' ', subject, body)". A loop that needs more writes its SQL around or instead of the call;
  what counts is the contract. Near-duplicates are left out later, by the stage `validate`, when it is known
  which rows are good. The stage `transform` counts a row that a mart of its own leaves out as a duplicate if
  another with its text_key stayed, and refuses to publish when it finds none.

  `clean` of the loop file arrives as LAKELOOP_NORMALISE and LAKELOOP_DROP_NEAR_DUPLICATES; by hand both
  are on. Environment and not --vars, because dbt parses the whole project again when a var changes.
#}

{% macro staged_texts(
    source, key='lakeloop_key', text='lakeloop_text', event_time='lakeloop_event_time', label=none,
    words=none, numbers=none, beside=[]
) -%}
{%- set numbers = numbers or {} -%}
{%- set words = words or ({'label': label or 'lakeloop_label'} if not numbers else {}) -%}
with renamed as (
    select
        cast({{ key }} as varchar) as row_id,
        {{ normalised(text) }} as text,
        {%- for name, expression in words.items() %}
        nullif({{ normalised(expression) }}, '') as "{{ name }}",
        {%- endfor %}
        {%- for name, expression in numbers.items() %}
        cast({{ expression }} as double) as "{{ name }}",
        {%- endfor %}
        cast({{ event_time }} as timestamptz) as event_time,
        source_file,
        source_line,
        "partition"
    from {{ source }}
)

select
    row_id,
    text,
    {%- for name in (words | list) + (numbers | list) %}
    "{{ name }}",
    {%- endfor %}
    {{ text_key(all_that_is_read(beside), 'row_id', composed=switched_on('LAKELOOP_NORMALISE')) }} as text_key,
    event_time,
    source_file,
    source_line,
    "partition"
from renamed
{%- endmacro %}


{#
  The text, and behind it the columns `beside`, which a model reads too: rows of one text that differ there are
  not alike.
#}
{% macro all_that_is_read(beside) -%}
{%- if beside -%}
concat_ws(' ', text{% for name in beside %}, cast("{{ name }}" as varchar){% endfor %})
{%- else -%}
text
{%- endif -%}
{%- endmacro %}


{#
  For models that were written when dbt dropped near-duplicates: it lets every row pass. Here nobody knows yet
  which rows are good, and the first of two near-duplicates may be the bad one. `validate` judges first.
#}
{% macro first_of_near_duplicates(staged) -%}
select * from {{ staged }}
{%- endmacro %}


{#
  Unicode NFC; every run of white space (Unicode's White_Space, not only ASCII's) one space; trimmed. Most texts
  have only single spaces between words; to see that takes a tenth of what a replacement does.
#}
{% macro normalised(expression) -%}
{%- set text = 'cast(' ~ expression ~ ' as varchar)' -%}
{%- if switched_on('LAKELOOP_NORMALISE') -%}
case
            when regexp_matches({{ text }}, '^ | $|[\s\x0B\x{85}\p{Z}]{2}|[\t\n\x0B\f\r\x{85}\x00]|[^ \P{Z}]')
            then trim(regexp_replace(nfc_normalize({{ text }}), '[\s\x0B\x{85}\p{Z}]+', ' ', 'g'))
            else nfc_normalize({{ text }})
        end
{%- else -%}
{{ text }}
{%- endif -%}
{%- endmacro %}


{#
  Texts that are alike share it, so that they fall on one side of the split: 128 bits of the sha256 of the
  lower-cased letters, marks and digits. A text without any gets a key of its row. It is coarse on purpose
  (C and C++ share it): which texts are near-duplicates decides `validate`, among the rows that share a key
  (and those without letters). Another recipe deals every row anew.
#}
{% macro text_key(text, row_id, composed=false) -%}
{#- `composed`: the text is in NFC already. The commonest characters that do not count go first: replacing a
  plain character takes a tenth of what a match of a pattern does. -#}
{%- set lowered = 'lower(' ~ (text if composed else 'nfc_normalize(' ~ text ~ ')') ~ ')' -%}
{%- set words = "replace(replace(replace(" ~ lowered ~ ", ' ', ''), ',', ''), '.', '')" -%}
left(sha256(coalesce(
            nullif(regexp_replace({{ words }}, '[^\p{L}\p{M}\p{N}]+', '', 'g'), ''),
            'row:' || {{ row_id }}
        )), 32)
{%- endmacro %}


{% macro switched_on(variable) -%}
{{ return(env_var(variable, 'true') == 'true') }}
{%- endmacro %}
