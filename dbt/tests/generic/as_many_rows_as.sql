{# Fails when the model has more or fewer rows than `other`: a step that may only rename lost or doubled some. #}
{% test as_many_rows_as(model, other) %}
select here.times as found, there.times as expected
from (select count(*) as times from {{ model }}) as here
cross join (select count(*) as times from {{ other }}) as there
where here.times <> there.times
{% endtest %}
